import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";

import type { Order } from "../api/api";
import { isOutcomeUnknown } from "../api/error";
import { RequestError } from "../shell/RequestError";
import { useApi } from "../shell/services";
import { Conflict } from "./Conflict";
import { undeletable } from "./life";
import { noteDeleted } from "./known";
import { useWrite } from "./useWrite";

interface Props {
  order: Order;
  onClose: () => void;
  onDone: () => void;
}

/** Dialog that deletes an order. */
export function DeleteOrder({ order, onClose, onDone }: Props) {
  const api = useApi();
  const { seen, current, isChanged, write, isWriting, error, otherError } = useWrite<undefined>(order, {
    send: async (order) => {
      // If there is no such order, a deletion is done: an order that was not saved yet never will be.
      await api.remove(order);
    },
  });
  const obstacle = isChanged ? undeletable(current) : undefined;
  const remove = () => {
    write(undefined, {
      onSuccess: () => {
        noteDeleted(order);
        onDone();
      },
    });
  };
  const isUnknown = error !== null && isOutcomeUnknown(error);

  return (
    <Modal
      visible
      // A request can't be taken back, so the dialog stays for its answer.
      onDismiss={() => !isWriting && onClose()}
      header="Delete the order?"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose} disabled={isWriting}>
              Cancel
            </Button>
            <Button variant="primary" onClick={remove} loading={isWriting} disabled={obstacle !== undefined}>
              {error ? "Try again" : "Delete order"}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="l">
        {isChanged && <Conflict seen={seen} current={current} obstacle={obstacle} />}
        {otherError && (
          <RequestError
            header={
              isUnknown
                ? "It is not known if the order was deleted. Trying again is safe."
                : "The order was not deleted"
            }
            error={otherError}
          />
        )}
        <Box>
          {order.quantity} from {order.restaurant_id}. A deleted order can&apos;t be restored.
        </Box>
      </SpaceBetween>
    </Modal>
  );
}
