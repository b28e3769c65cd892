import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useNavigate } from "react-router";

import { useFollow } from "../shell/follow";
import { usePerson } from "../shell/services";
import { listPathOf } from "./paths";

/** Choice of the list that an administrator sees: everybody's, their own, or that of a user. */
export function ListChoice({ userId }: { userId: string | undefined }) {
  const person = usePerson();
  const navigate = useNavigate();
  const follow = useFollow();
  const [text, setText] = useState(userId ?? "");
  const show = () => void navigate(text.trim() ? listPathOf(text.trim()) : "/orders");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        show();
      }}
    >
      <SpaceBetween direction="horizontal" size="xs" alignItems="end">
        <FormField label="User id">
          <Input value={text} onChange={({ detail }) => setText(detail.value)} placeholder="Id of a user" />
        </FormField>
        <Button formAction="submit">Show their orders</Button>
        <Button href="/orders" onFollow={follow} disabled={userId === undefined}>
          Everybody&apos;s orders
        </Button>
        <Button href={listPathOf(person.userId)} onFollow={follow} disabled={userId === person.userId}>
          My orders
        </Button>
      </SpaceBetween>
    </form>
  );
}
