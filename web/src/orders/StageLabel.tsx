import StatusIndicator from "@cloudscape-design/components/status-indicator";

import type { Order } from "../api/api";
import { stageOf } from "./life";
import { useKnownOrders } from "./known";
import { useHasPassed } from "./useHasPassed";

/** Saving an order takes moments; after this time the page says that it takes longer. */
export const SAVING_MS = 30_000;

/** Place of an order in its life. */
export function StageLabel({ order }: { order: Order }) {
  const known = useKnownOrders().get(order.id);
  const isSaved = known?.isSaved ?? true;
  const takesLonger = useHasPassed((known?.since ?? 0) + SAVING_MS) && !isSaved;
  const { label, look } = stageOf(order, isSaved);
  return (
    <StatusIndicator type={look}>{takesLonger ? `${label}, which takes longer than usual` : label}</StatusIndicator>
  );
}
