import Alert from "@cloudscape-design/components/alert";
import FormField from "@cloudscape-design/components/form-field";
import Input, { type InputProps } from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef } from "react";

import { ApiError } from "../api/error";
import { messageOf } from "../shell/RequestError";
import { CONTENT, type Fields, USER } from "./content";

interface Props {
  value: Fields;
  onChange: (value: Fields) => void;
  /** Answer to the form that was sent last, if the API refused it. */
  error: Error | null;
  isLocked?: boolean;
  /** True if the form may be for another user. */
  hasUser?: boolean;
}

/** Fields of an order, each with what the API says about it. */
export function ContentFields({ value, onChange, error, isLocked = false, hasUser = false }: Props) {
  const shown = hasUser ? [...CONTENT, USER] : CONTENT;
  const inputs = useRef<Record<string, InputProps.Ref | null>>({});
  const errors = error instanceof ApiError ? error.fields : [];
  const errorOf = (name: string) => errors.find(({ field }) => field === name)?.message;
  const others = errors.filter(({ field }) => !shown.some(({ name }) => name === field));
  const first = shown.find(({ name }) => errorOf(name))?.name;

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
      {shown.map(({ name, label, description, placeholder, inputMode, isOptional }) => (
        <FormField
          key={name}
          label={
            isOptional ? (
              <>
                {label} <i>- optional</i>
              </>
            ) : (
              label
            )
          }
          description={description}
          errorText={errorOf(name)}
        >
          <Input
            ref={(input) => {
              inputs.current[name] = input;
            }}
            value={value[name] ?? ""}
            onChange={({ detail }) => onChange({ ...value, [name]: detail.value })}
            disabled={isLocked}
            placeholder={placeholder}
            inputMode={inputMode}
            name={name}
            autoComplete={false}
          />
        </FormField>
      ))}
    </SpaceBetween>
  );
}

/** Price of the content; undefined if the unit price is not known or the quantity is no number. */
export function totalOf(quantity: string, unitPrice: { amount: number; currency: string } | undefined) {
  const count = /^\d{1,4}$/.test(quantity) ? Number(quantity) : 0;
  return unitPrice && count > 0 ? { amount: unitPrice.amount * count, currency: unitPrice.currency } : undefined;
}
