import type { Order } from "../api/api";

/** Returns true while the workflow works on the order, so that it changes by itself. */
export const isMoving = (order: Order): boolean => order.processing === "workflow" && order.order_status === "PENDING";

/** Returns the reason why an order can't be changed; undefined if it can. */
export function unchangeable(order: Order): string | undefined {
  if (order.order_status !== "PENDING") return "The order is final.";
  if (order.accepted_at ?? order.refund) return "The order has been accepted.";
  return undefined;
}

/** Returns the reason why an order can't be deleted; undefined if it can. */
export function undeletable(order: Order): string | undefined {
  if (order.processing === "none") return undefined;
  if (order.order_status !== "PENDING") {
    return order.refund === "OWED" ? "A refund is owed. The order can be deleted when it is made." : undefined;
  }
  if (order.accepted_at ?? order.refund) {
    return "The order is being paid and sent. It can be deleted when it is final.";
  }
  return undefined;
}

export type Look = "success" | "error" | "warning" | "in-progress" | "pending" | "stopped";

export interface Stage {
  label: string;
  look: Look;
}

/** Place of an order in its life, in a few words. */
export function stageOf(order: Order, isSaved = true): Stage {
  if (order.order_status === "SUCCESS") return { label: "Success", look: "success" };
  if (order.order_status === "FAILURE") return { label: "Failure", look: "error" };
  if (order.processing === "none") return { label: "Recorded only", look: "stopped" };
  if (!isSaved) return { label: "Pending: being saved", look: "in-progress" };
  if (order.refund) return { label: "Pending: being refunded", look: "warning" };
  if (order.delivered_at) return { label: "Pending: delivered", look: "in-progress" };
  if (order.paid_at) return { label: "Pending: paid", look: "in-progress" };
  if (order.accepted_at) return { label: "Pending: accepted", look: "in-progress" };
  return { label: "Pending: submitted", look: "in-progress" };
}

export interface Step extends Stage {
  at?: string | undefined;
  details?: string | undefined;
}

const REFUNDS: Record<NonNullable<Order["refund"]>, Stage & { details: string }> = {
  OWED: {
    label: "Refund owed",
    look: "in-progress",
    details: "The payment provider has not confirmed the refund yet.",
  },
  MADE: { label: "Refunded", look: "success", details: "The payment was refunded." },
  FAILED: { label: "Refund failed", look: "error", details: "An operator must make the refund by hand." },
  UNKNOWN: { label: "Refund unclear", look: "warning", details: "An operator must find out if a refund is due." },
};

/** The way of an order so far, and the next step that it waits for, from its time stamps. */
export function timelineOf(order: Order): Step[] {
  if (order.processing === "none") {
    return [
      {
        label: "Recorded",
        look: "success",
        at: order.created_at,
        details: "This order was recorded by PUT. It is neither paid nor sent to the restaurant.",
      },
      ...end(order),
    ];
  }
  const isFailing = order.order_status === "FAILURE" || order.refund !== undefined;
  const passed: Step[] = [
    { label: "Submitted", look: "success", at: order.created_at },
    ...step("Accepted", order.accepted_at),
    ...step("Paid", order.paid_at),
    ...step("Delivered", order.delivered_at),
  ];
  if (isFailing) {
    const cancelled: Step = {
      label: order.paid_at ? "Delivery cancelled" : "Order stopped",
      look: "error",
      details: order.error_message ?? (order.paid_at ? "The restaurant does not deliver the order." : undefined),
    };
    const refund = order.refund ? [REFUNDS[order.refund]] : [];
    return [...passed, cancelled, ...refund, ...end(order)];
  }
  return [...passed, ...next(order), ...end(order)];
}

const step = (label: string, at: string | undefined): Step[] => (at ? [{ label, look: "success", at }] : []);

/** The step that a submitted order waits for. */
function next(order: Order): Step[] {
  if (order.order_status !== "PENDING") return [];
  const waiting = (label: string, details: string): Step[] => [{ label, look: "in-progress", details }];
  if (order.delivered_at) return waiting("Completion", "The order is about to be completed.");
  if (order.paid_at) return waiting("Delivery", "The restaurant may take some minutes to confirm the order.");
  if (order.accepted_at) return waiting("Payment", "The payment provider is charging the total.");
  return waiting("Acceptance", "You can change or delete the order until it is accepted.");
}

function end(order: Order): Step[] {
  if (order.order_status === "SUCCESS") {
    return [{ label: "Success", look: "success", at: order.completed_at, details: "The order is paid and delivered." }];
  }
  if (order.order_status === "FAILURE") {
    return [{ label: "Failure", look: "error", at: order.completed_at, details: "The order is not delivered." }];
  }
  return [];
}

/** Instant, in milliseconds, at which the id of an order was made: a UUIDv7 begins with it. */
export const instantOf = (id: string): number => Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
