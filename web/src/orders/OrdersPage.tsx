import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";

import type { Order } from "../api/api";
import { useFollow } from "../shell/follow";
import { Page } from "../shell/Layout";
import { RequestError } from "../shell/RequestError";
import { usePerson } from "../shell/services";
import { frozenAttempt } from "./attempt";
import { formatInstant, formatMoney } from "./format";
import { stageOf } from "./life";
import { ListChoice } from "./ListChoice";
import { pathOf } from "./paths";
import { useOrders } from "./queries";
import { StageLabel } from "./StageLabel";

const ANY: SelectProps.Option = { value: "", label: "Any status" };
const STATUSES: SelectProps.Option[] = [
  ANY,
  { value: "PENDING", label: "Pending" },
  { value: "SUCCESS", label: "Success" },
  { value: "FAILURE", label: "Failure" },
  { value: "RECORDED", label: "Recorded only" },
];

const ROWS_PER_PAGE = 25;

/** Status of an order as the filter has it: one that was only recorded waits for nothing. */
const statusOf = (order: Order): string =>
  order.processing === "none" && order.order_status === "PENDING" ? "RECORDED" : order.order_status;

export function OrdersPage() {
  const person = usePerson();
  const [search] = useSearchParams();
  const chosen = search.get("user_id") ?? undefined;
  const userId = person.isAdmin ? chosen : person.userId;
  // Each list has a table of its own, so that no filter or page of another list stays.
  return <OrdersTable key={userId ?? ""} userId={userId} />;
}

function OrdersTable({ userId }: { userId: string | undefined }) {
  const person = usePerson();
  const follow = useFollow();
  const list = useOrders(userId);
  const [status, setStatus] = useState(ANY);
  const withStatus = useMemo(
    () => list.orders.filter((order) => !status.value || statusOf(order) === status.value),
    [list.orders, status],
  );
  const { items, collectionProps, filterProps, filteredItemsCount, paginationProps, actions } = useCollection(
    withStatus,
    {
      filtering: {
        filteringFunction: (order, text) => matches(order, text),
      },
      pagination: { pageSize: ROWS_PER_PAGE },
      sorting: {},
    },
  );
  const isFiltered = filterProps.filteringText !== "" || status !== ANY;
  const clear = () => {
    setStatus(ANY);
    actions.setFiltering("");
  };
  const title = titleOf(userId, person.userId);
  const frozen = frozenAttempt(person.userId);
  const error = list.error && (
    <RequestError
      header="The orders could not be loaded"
      error={list.error}
      onRetry={list.refresh}
      isRetrying={list.isFetching}
    />
  );

  return (
    <Page
      title={title}
      contentType="table"
      notice={
        frozen && (
          <Alert
            type="warning"
            header="An order was sent, but its answer has not arrived"
            action={
              <Button href="/orders/new" onFollow={follow}>
                Send it again
              </Button>
            }
          >
            Sending it again makes no second order.
          </Alert>
        )
      }
    >
      <SpaceBetween size="l">
        {/* The orders that are loaded stay in sight while the list can't be asked. */}
        {error}
        <Table
          {...collectionProps}
          items={items}
          columnDefinitions={person.isAdmin ? ADMIN_COLUMNS : COLUMNS}
          trackBy="id"
          variant="full-page"
          renderAriaLive={({ firstIndex, lastIndex, totalItemsCount }) =>
            `Orders ${firstIndex} to ${lastIndex} of ${totalItemsCount}`
          }
          totalItemsCount={filteredItemsCount ?? withStatus.length}
          firstIndex={(paginationProps.currentPageIndex - 1) * ROWS_PER_PAGE + 1}
          loading={list.isPending && !list.error}
          loadingText="Loading the orders"
          ariaLabels={{ tableLabel: title }}
          header={
            <Header
              variant="awsui-h1-sticky"
              headingTagOverride="h1"
              counter={`(${list.orders.length}${list.hasNextPage ? "+" : ""})`}
              description={sortingText(userId, collectionProps.sortingColumn !== undefined)}
              actions={
                <SpaceBetween direction="horizontal" size="xs">
                  <Button
                    iconName="refresh"
                    ariaLabel="Refresh"
                    onClick={list.refresh}
                    loading={list.isFetching && list.isPending}
                  />
                  <Button variant="primary" href="/orders/new" onFollow={follow}>
                    Submit an order
                  </Button>
                </SpaceBetween>
              }
            >
              {title}
            </Header>
          }
          filter={
            <SpaceBetween size="s">
              {person.isAdmin && <ListChoice userId={userId} />}
              <SpaceBetween direction="horizontal" size="s">
                <TextFilter
                  {...filterProps}
                  filteringPlaceholder="Search the loaded orders"
                  filteringAriaLabel="Search the loaded orders"
                  countText={isFiltered ? `${filteredItemsCount ?? 0} found` : ""}
                />
                <Select
                  selectedOption={status}
                  options={STATUSES}
                  onChange={({ detail }) => setStatus(detail.selectedOption)}
                  ariaLabel="Status"
                />
              </SpaceBetween>
              <Box>
                Signed in{person.email && ` as ${person.email}`}. Your user id:{" "}
                <CopyToClipboard
                  variant="inline"
                  textToCopy={person.userId}
                  copyButtonAriaLabel="Copy your user id"
                  copySuccessText="Copied"
                  copyErrorText="Not copied"
                />
              </Box>
              <Box color="text-body-secondary" fontSize="body-s">
                {loadedText(list.orders.length, list.hasNextPage)}
              </Box>
            </SpaceBetween>
          }
          pagination={<Pagination {...paginationProps} />}
          empty={isFiltered ? <NoMatch onClear={clear} /> : list.error ? "Not loaded" : <NoOrders />}
          footer={
            list.hasNextPage && (
              <Box textAlign="center">
                <Button onClick={list.loadMore} loading={list.isFetchingNextPage}>
                  Load more orders
                </Button>
              </Box>
            )
          }
        />
      </SpaceBetween>
    </Page>
  );
}

function titleOf(userId: string | undefined, own: string): string {
  if (!userId) return "Everybody's orders";
  return userId === own ? "My orders" : `Orders of ${userId}`;
}

function sortingText(userId: string | undefined, isSorted: boolean): string {
  if (isSorted) return "The loaded orders, sorted by a column.";
  return userId ? "Newest first." : "Everybody's orders, in no particular order.";
}

function loadedText(count: number, hasMore: boolean): string {
  const loaded = `${count} ${count === 1 ? "order is" : "orders are"} loaded`;
  return `${loaded}${hasMore ? "; there are more" : ""}. Search and filter look at the loaded orders only.`;
}

const matches = (order: Order, text: string): boolean =>
  [order.id, order.user_id, order.restaurant_id, stageOf(order).label].some((value) =>
    value.toLowerCase().includes(text.trim().toLowerCase()),
  );

function NoOrders() {
  const follow = useFollow();
  return (
    <Box textAlign="center" padding="l">
      <SpaceBetween size="s">
        <Box variant="strong">No orders</Box>
        <Box color="text-body-secondary">There are no orders here yet.</Box>
        <Button href="/orders/new" onFollow={follow}>
          Submit the first order
        </Button>
      </SpaceBetween>
    </Box>
  );
}

function NoMatch({ onClear }: { onClear: () => void }) {
  return (
    <Box textAlign="center" padding="l">
      <SpaceBetween size="s">
        <Box variant="strong">No matches</Box>
        <Box color="text-body-secondary">None of the loaded orders matches the search and the filter.</Box>
        <Button onClick={onClear}>Show all loaded orders</Button>
      </SpaceBetween>
    </Box>
  );
}

function OrderLink({ order }: { order: Order }) {
  const follow = useFollow();
  return (
    <Link href={pathOf(order)} onFollow={follow}>
      {order.id}
    </Link>
  );
}

const COLUMNS: TableProps.ColumnDefinition<Order>[] = [
  { id: "id", header: "Order", cell: (order) => <OrderLink order={order} />, isRowHeader: true, minWidth: 180 },
  {
    id: "status",
    header: "Status",
    cell: (order) => <StageLabel order={order} />,
    sortingComparator: (a, b) => stageOf(a).label.localeCompare(stageOf(b).label),
  },
  {
    id: "created",
    header: "Made",
    cell: (order) => formatInstant(order.created_at),
    sortingField: "created_at",
  },
  { id: "restaurant", header: "Restaurant", cell: (order) => order.restaurant_id, sortingField: "restaurant_id" },
  {
    id: "quantity",
    header: "Quantity",
    cell: (order) => order.quantity,
    sortingComparator: (a, b) => Number(a.quantity) - Number(b.quantity),
  },
  {
    id: "total",
    header: "Total",
    cell: (order) => formatMoney(order.total),
    sortingComparator: (a, b) => (a.total?.amount ?? 0) - (b.total?.amount ?? 0),
  },
];

const ADMIN_COLUMNS: TableProps.ColumnDefinition<Order>[] = [
  ...COLUMNS,
  { id: "user", header: "User", cell: (order) => order.user_id, sortingField: "user_id" },
];
