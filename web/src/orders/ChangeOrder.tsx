import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState } from "react";

import type { Order } from "../api/api";
import { isOutcomeUnknown } from "../api/error";
import { RequestError } from "../shell/RequestError";
import { useApi, useServices } from "../shell/services";
import { Conflict } from "./Conflict";
import { CONTENT, contentOf, type OrderContent, withoutEmpty } from "./content";
import { ContentFields, totalOf } from "./ContentFields";
import { hasContent } from "./differences";
import { draftOf, forgetDraft, keepDraft } from "./draft";
import { formatMoney } from "./format";
import { unchangeable } from "./life";
import { noteSaved } from "./known";
import { pathOf } from "./paths";
import { useWrite } from "./useWrite";

interface Props {
  order: Order;
  onClose: () => void;
  onDone: () => void;
}

/** Dialog that changes an order. */
export function ChangeOrder({ order, onClose, onDone }: Props) {
  const api = useApi();
  const { config } = useServices();
  const path = pathOf(order);
  const [content, setContent] = useState<OrderContent>(() => ({ ...contentOf(order), ...draftOf(path) }));
  const { seen, current, isChanged, write, isWriting, error, otherError } = useWrite<OrderContent>(order, {
    send: async (order, content) => noteSaved(await api.change(order, withoutEmpty(content))),
    isDone: hasContent,
  });
  useEffect(() => {
    keepDraft(path, content);
    return forgetDraft;
  }, [path, content]);

  const obstacle = isChanged ? unchangeable(current) : undefined;
  const isUnknown = error !== null && isOutcomeUnknown(error);
  const save = () => write(content, { onSuccess: onDone });

  return (
    <Modal
      visible
      // A request can't be taken back, so the dialog stays for its answer.
      onDismiss={() => !isWriting && onClose()}
      header="Change the order"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose} disabled={isWriting}>
              Cancel
            </Button>
            <Button variant="primary" onClick={save} loading={isWriting} disabled={obstacle !== undefined}>
              {error ? "Try again" : "Change order"}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isWriting && !obstacle) save();
        }}
      >
        <SpaceBetween size="l">
          {isChanged && <Conflict seen={seen} current={current} obstacle={obstacle} />}
          {isUnknown && (
            <RequestError
              header="It is not known if the order was changed. Trying again changes it once."
              error={error}
            />
          )}
          <ContentFields
            value={content}
            onChange={setContent}
            error={isUnknown ? null : otherError}
            isLocked={isWriting}
          />
          <Box>
            {summaryOf(current, content)} {totalText(totalOf(content.quantity, config.unitPrice))}
          </Box>
          {/* Lets Enter send the form: the dialog's own button stands outside of it. */}
          <input type="submit" hidden />
        </SpaceBetween>
      </form>
    </Modal>
  );
}

function summaryOf(order: Order, content: OrderContent): string {
  const before = contentOf(order);
  const changes = CONTENT.filter(({ name }) => before[name] !== content[name]).map(
    ({ name, label }) => `${label.toLowerCase()} ${before[name] || "-"} to ${content[name] || "-"}`,
  );
  return changes.length > 0 ? `You change ${changes.join(" and ")}.` : "You have changed nothing yet.";
}

const totalText = (total: Order["total"]): string => (total ? `New total: ${formatMoney(total)}.` : "");
