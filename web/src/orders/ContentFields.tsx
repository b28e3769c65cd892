import Alert from "@cloudscape-design/components/alert";
import FormField from "@cloudscape-design/components/form-field";
import Input, { type InputProps } from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef } from "react";

import type { OrderContent } from "../api/api";
import { ApiError } from "../api/error";
import { messageOf } from "../shell/RequestError";

export type Fields = OrderContent & { user_id?: string };

interface Props {
  value: Fields;
  onChange: (value: Fields) => void;
  /** Answer to the form that was sent last, if the API refused it. */
  error: Error | null;
  isLocked?: boolean;
  /** True if the form may be for another user. */
  hasUser?: boolean;
}

const NAMES = ["restaurant_id", "quantity", "user_id"];

/** Fields of an order, each with what the API says about it. */
export function ContentFields({ value, onChange, error, isLocked = false, hasUser = false }: Props) {
  const inputs = useRef<Record<string, InputProps.Ref | null>>({});
  const errors = error instanceof ApiError ? error.fields : [];
  const errorOf = (name: string) => errors.find(({ field }) => field === name)?.message;
  const others = errors.filter(({ field }) => !NAMES.includes(field));
  const first = NAMES.find(errorOf);

  // After a refusal the first bad field takes the focus.
  useEffect(() => {
    if (first) inputs.current[first]?.focus();
  }, [error, first]);

  return (
    <SpaceBetween size="l">
      {error && (errors.length === 0 || others.length > 0) && (
        <Alert type="error" header="The request was refused">
          {others.length > 0 ? others.map(({ field, message }) => `${field}: ${message}`).join("; ") : messageOf(error)}
        </Alert>
      )}
      <FormField label="Restaurant" errorText={errorOf("restaurant_id")}>
        <Input
          ref={(input) => {
            inputs.current.restaurant_id = input;
          }}
          value={value.restaurant_id}
          onChange={({ detail }) => onChange({ ...value, restaurant_id: detail.value })}
          disabled={isLocked}
          placeholder="Restaurant 3"
          name="restaurant_id"
          autoComplete={false}
        />
      </FormField>
      <FormField label="Quantity" description="1 to 1000" errorText={errorOf("quantity")}>
        <Input
          ref={(input) => {
            inputs.current.quantity = input;
          }}
          value={value.quantity}
          onChange={({ detail }) => onChange({ ...value, quantity: detail.value })}
          disabled={isLocked}
          inputMode="numeric"
          name="quantity"
          autoComplete={false}
        />
      </FormField>
      {hasUser && (
        <FormField
          label={
            <>
              User id <i>- optional</i>
            </>
          }
          description="The user for whom you order. Without one, the order is yours."
          errorText={errorOf("user_id")}
        >
          <Input
            ref={(input) => {
              inputs.current.user_id = input;
            }}
            value={value.user_id ?? ""}
            onChange={({ detail }) => onChange({ ...value, user_id: detail.value })}
            disabled={isLocked}
            name="user_id"
            autoComplete={false}
          />
        </FormField>
      )}
    </SpaceBetween>
  );
}

/** Price of the content; undefined if the unit price is not known or the quantity is no number. */
export function totalOf(quantity: string, unitPrice: { amount: number; currency: string } | undefined) {
  const count = /^\d{1,4}$/.test(quantity) ? Number(quantity) : 0;
  return unitPrice && count > 0 ? { amount: unitPrice.amount * count, currency: unitPrice.currency } : undefined;
}
