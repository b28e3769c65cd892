import Box from "@cloudscape-design/components/box";
import Steps from "@cloudscape-design/components/steps";

import type { Order } from "../api/api";
import { formatInstant } from "./format";
import { type Look, timelineOf } from "./life";

const MEANINGS: Record<Look, string> = {
  success: "Done",
  error: "Failed",
  warning: "Attention",
  "in-progress": "Waiting",
  pending: "Not yet",
  stopped: "Stopped",
};

/** The way of an order, step by step. */
export function Timeline({ order }: { order: Order }) {
  const steps = timelineOf(order).map(({ label, look, at, details }) => ({
    header: label,
    status: look,
    statusIconAriaLabel: MEANINGS[look],
    details: (
      <>
        {at && (
          <Box color="text-body-secondary">
            <time dateTime={at}>{formatInstant(at)}</time>
          </Box>
        )}
        {details && <Box>{details}</Box>}
      </>
    ),
  }));
  return <Steps steps={steps} ariaLabel="Timeline" />;
}
