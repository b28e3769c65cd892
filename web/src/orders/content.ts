import type { Order } from "../api/api";

/**
 * Content of an order, as it was typed: all that a person fills in. It is sent like this, so the API alone decides what is
 * valid.
 */
export type OrderContent = Record<"restaurant_id" | "quantity", string>;

/** Content of a new order, with the user whom it is for. */
export type Fields = OrderContent & { user_id?: string };

export interface Field<Name> {
  name: Name;
  label: string;
  description?: string;
  placeholder?: string;
  inputMode?: "numeric";
  /** What a new form has. */
  initial?: string;
  /** True if it may be left empty; it is not sent then. */
  isOptional?: boolean;
}

/** The fields of the content. The form, the page of an order and the comparison of two versions show them in this order. */
export const CONTENT: Field<keyof OrderContent>[] = [
  { name: "restaurant_id", label: "Restaurant", placeholder: "Restaurant 3" },
  { name: "quantity", label: "Quantity", description: "1 to 1000", inputMode: "numeric", initial: "1" },
];

/** Field of an administrator's form. */
export const USER: Field<"user_id"> = {
  name: "user_id",
  label: "User id",
  description: "The user for whom you order. Without one, the order is yours.",
  isOptional: true,
};

/** Content made of one value for each field. */
const contentWith = (valueOf: (field: Field<keyof OrderContent>) => string | undefined): OrderContent =>
  Object.fromEntries(CONTENT.map((field) => [field.name, valueOf(field) ?? ""])) as OrderContent;

/** Content of a new form. */
export const initialContent = (): OrderContent => contentWith(({ initial }) => initial);

/** Content of an order. */
export const contentOf = (order: Order): OrderContent => contentWith(({ name }) => order[name]);

/** What is sent: without the optional fields that are empty. Equal fields make equal bytes. */
export function withoutEmpty(fields: Fields): Fields {
  const sent = [...CONTENT, USER].filter(({ name, isOptional }) => !isOptional || fields[name]);
  return Object.fromEntries(sent.map(({ name }) => [name, fields[name]])) as Fields;
}
