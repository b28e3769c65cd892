import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useEffect, useState } from "react";
import { useNavigate } from "react-router";

import { useFollow } from "../shell/follow";
import { Page, type Notice } from "../shell/Layout";
import { messageOf } from "../shell/RequestError";
import { usePerson, useServices } from "../shell/services";
import { type Fields, initialContent, withoutEmpty } from "./content";
import { ContentFields, totalOf } from "./ContentFields";
import { draftOf, forgetDraft, keepDraft } from "./draft";
import { formatMoney } from "./format";
import { pathOf } from "./paths";
import { useSubmitOrder } from "./useSubmitOrder";

const PATH = "/orders/new";

/** Form that submits an order. */
export function NewOrderPage() {
  const { config } = useServices();
  const person = usePerson();
  const navigate = useNavigate();
  const follow = useFollow();
  const { submit, frozen, isSending, error, sendAgain } = useSubmitOrder((order) => {
    const state: Notice = { notice: "The order is submitted." };
    void navigate(pathOf(order), { replace: true, state });
  });
  const [fields, setFields] = useState<Fields>(() => ({
    ...initialContent(),
    ...(frozen ? fieldsOf(frozen.body) : draftOf(PATH)),
  }));
  useEffect(() => keepDraft(PATH, fields), [fields]);
  const total = totalOf(fields.quantity, config.unitPrice);
  const isUnknown = frozen !== undefined && !isSending;

  return (
    <Page title="Submit an order" crumb="Submit an order" contentType="form">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit(JSON.stringify(withoutEmpty(fields)));
        }}
      >
        <Form
          header={<Header variant="h1">Submit an order</Header>}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button
                variant="link"
                href="/orders"
                onFollow={(event) => {
                  forgetDraft();
                  follow(event);
                }}
              >
                Cancel
              </Button>
              <Button
                variant="primary"
                formAction="submit"
                loading={isSending}
                loadingText="Submitting"
                disabled={isUnknown}
              >
                Submit order
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {isUnknown && (
              <Alert
                type="warning"
                header="It is not known if the order was submitted"
                action={<Button onClick={sendAgain}>Send it again</Button>}
              >
                {error && messageOf(error)} Send the same order again to find out: it makes no second order. Until then
                it can&apos;t be changed.
              </Alert>
            )}
            <Container>
              <SpaceBetween size="l">
                <ContentFields
                  value={fields}
                  onChange={setFields}
                  error={frozen ? null : error}
                  isLocked={frozen !== undefined}
                  hasUser={person.isAdmin}
                />
                <div>
                  <Box variant="awsui-key-label">Total</Box>
                  <Box variant="h2" tagOverride="div">
                    <output>{total ? formatMoney(total) : "-"}</output>
                  </Box>
                  <Box color="text-body-secondary" fontSize="body-s">
                    {config.unitPrice
                      ? `${formatMoney(config.unitPrice)} for each. The total is fixed when the order is accepted.`
                      : "The page of the order shows the total, which is fixed when the order is accepted."}
                  </Box>
                </div>
                {isSending && <StatusIndicator type="loading">Waiting for the answer</StatusIndicator>}
              </SpaceBetween>
            </Container>
          </SpaceBetween>
        </Form>
      </form>
    </Page>
  );
}

const fieldsOf = (body: string): Fields => JSON.parse(body) as Fields;
