import Alert from "@cloudscape-design/components/alert";
import Table from "@cloudscape-design/components/table";

import type { Order } from "../api/api";
import { differencesOf } from "./differences";

interface Props {
  seen: Order;
  current: Order;
  /** Reason why the person may not try again; undefined if they may. */
  obstacle: string | undefined;
}

/** What has changed since the person saw the order. */
export function Conflict({ seen, current, obstacle }: Props) {
  const differences = differencesOf(seen, current);
  return (
    <Alert type="warning" header="The order has changed since you opened this">
      {differences.length > 0 && (
        <Table
          variant="borderless"
          items={differences}
          trackBy="label"
          ariaLabels={{ tableLabel: "Changes of the order" }}
          columnDefinitions={[
            { id: "label", header: "Field", cell: ({ label }) => label, isRowHeader: true },
            { id: "before", header: "You saw", cell: ({ before }) => before },
            { id: "after", header: "Now", cell: ({ after }) => after },
          ]}
        />
      )}
      {obstacle ?? "Your last request was not carried out. You can try again with the order as it is now."}
    </Alert>
  );
}
