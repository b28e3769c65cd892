import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { type ReactNode, useState } from "react";
import { useNavigate, useParams } from "react-router";

import type { Order } from "../api/api";
import { useFollow } from "../shell/follow";
import { type Notice, Page } from "../shell/Layout";
import { RequestError } from "../shell/RequestError";
import { usePerson } from "../shell/services";
import { ChangeOrder } from "./ChangeOrder";
import { CONTENT, contentOf } from "./content";
import { DeleteOrder } from "./DeleteOrder";
import { draftOf } from "./draft";
import { formatInstant, formatMoney } from "./format";
import { stageOf, unchangeable, undeletable } from "./life";
import { listPathOf, pathOf } from "./paths";
import { useOrder } from "./queries";
import { SAVING_MS, StageLabel } from "./StageLabel";
import { Timeline } from "./Timeline";
import { useHasPassed } from "./useHasPassed";

/** One order: its content, its way, and what can be done with it. */
export function OrderPage() {
  const { userId = "", id = "" } = useParams();
  // Nothing of another order stays.
  return <OneOrder key={`${userId}/${id}`} userId={userId} id={id} />;
}

function OneOrder({ userId, id }: { userId: string; id: string }) {
  const { view, error, isFetching, refresh } = useOrder({ userId, id });
  return (
    <Page title={`Order ${id}`} crumb={id}>
      <SpaceBetween size="l">
        {error && (
          <RequestError
            header="The order could not be loaded"
            error={error}
            onRetry={refresh}
            isRetrying={isFetching}
          />
        )}
        {view.is === "loading" && <StatusIndicator type="loading">Loading the order</StatusIndicator>}
        {view.is === "on its way" && <OnItsWay since={view.since} />}
        {view.is === "missing" && <Missing />}
        {view.is === "here" && <Details order={view.order} isSaved={view.isSaved} since={view.since} />}
      </SpaceBetween>
    </Page>
  );
}

function Missing() {
  const follow = useFollow();
  return (
    <Alert
      header="There is no such order"
      action={
        <Button href="/orders" onFollow={follow}>
          Show the orders
        </Button>
      }
    >
      It was deleted, or it is another user&apos;s.
    </Alert>
  );
}

/** Stands for an order that is known by its address only, because the page was loaded again right after the submission. */
function OnItsWay({ since }: { since: number }) {
  return (
    <SpaceBetween size="m">
      <Header variant="h1">Order</Header>
      <StatusIndicator type="in-progress">
        The order is not there yet. If you have just submitted it, it will be saved in a moment.
      </StatusIndicator>
      <TakesLonger since={since}>
        If you have submitted it, it is not lost. Otherwise it was deleted, or it is another user&apos;s.
      </TakesLonger>
    </SpaceBetween>
  );
}

function TakesLonger({ since, children }: { since: number; children: ReactNode }) {
  const takesLonger = useHasPassed(since + SAVING_MS);
  return (
    <LiveRegion>
      {takesLonger && (
        <Alert type="warning" header="Saving the order takes longer than usual">
          This page keeps asking. {children}
        </Alert>
      )}
    </LiveRegion>
  );
}

function Details({ order, isSaved, since }: { order: Order; isSaved: boolean; since: number }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<"change" | "delete" | undefined>(() =>
    draftOf(pathOf(order)) ? "change" : undefined,
  );
  const close = () => setDialog(undefined);
  const noChange = isSaved ? unchangeable(order) : "The order is not saved yet.";
  const noDeletion = undeletable(order);

  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button onClick={() => setDialog("change")} disabled={noChange !== undefined} disabledReason={noChange}>
              Change
            </Button>
            <Button onClick={() => setDialog("delete")} disabled={noDeletion !== undefined} disabledReason={noDeletion}>
              Delete
            </Button>
          </SpaceBetween>
        }
      >
        {order.quantity} from {order.restaurant_id}
      </Header>
      {!isSaved && (
        <TakesLonger since={since}>
          The order is not lost: it is in the queue. If you delete it before it is saved, it never will be, and nobody
          is charged.
        </TakesLonger>
      )}
      <ColumnLayout columns={2}>
        <Container header={<Header variant="h2">Order</Header>}>
          <Facts order={order} />
        </Container>
        <Container header={<Header variant="h2">Timeline</Header>}>
          <Timeline order={order} />
          <LiveRegion hidden>{stageOf(order, isSaved).label}</LiveRegion>
        </Container>
      </ColumnLayout>
      {dialog === "change" && (
        <ChangeOrder
          order={order}
          onClose={close}
          onDone={() => {
            close();
            const state: Notice = { notice: "The order is changed." };
            void navigate(pathOf(order), { replace: true, state });
          }}
        />
      )}
      {dialog === "delete" && (
        <DeleteOrder
          order={order}
          onClose={close}
          onDone={() => {
            const state: Notice = { notice: "The order is deleted." };
            void navigate("/orders", { replace: true, state });
          }}
        />
      )}
    </SpaceBetween>
  );
}

function Facts({ order }: { order: Order }) {
  const content = contentOf(order);
  const person = usePerson();
  return (
    <KeyValuePairs
      items={[
        { label: "Status", value: <StageLabel order={order} /> },
        ...CONTENT.map(({ label, name }) => ({ label, value: content[name] || "-" })),
        { label: "Total", value: formatMoney(order.total) },
        { label: "Order id", value: <Copyable text={order.id} name="order id" /> },
        {
          label: "User id",
          value: person.isAdmin ? (
            <UserLink userId={order.user_id} />
          ) : (
            <Copyable text={order.user_id} name="user id" />
          ),
        },
        { label: "Last change", value: <Box>{formatInstant(order.updated_at)}</Box> },
        { label: "Version", value: order.version },
      ]}
    />
  );
}

function UserLink({ userId }: { userId: string }) {
  const follow = useFollow();
  return (
    <Link href={listPathOf(userId)} onFollow={follow}>
      {userId}
    </Link>
  );
}

function Copyable({ text, name }: { text: string; name: string }) {
  return (
    <CopyToClipboard
      variant="inline"
      textToCopy={text}
      copyButtonAriaLabel={`Copy the ${name}`}
      copySuccessText="Copied"
      copyErrorText="Not copied"
    />
  );
}
