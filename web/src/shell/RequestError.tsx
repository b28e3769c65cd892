import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";

import { ApiError, statusOf } from "../api/error";
import { useServices } from "./services";

interface Props {
  header: string;
  error: Error;
  onRetry?: () => void;
  isRetrying?: boolean;
}

/** An error of a request, with a way on. */
export function RequestError({ header, error, onRetry, isRetrying = false }: Props) {
  const { session } = useServices();
  const retry = onRetry && (
    <Button onClick={onRetry} loading={isRetrying}>
      Try again
    </Button>
  );
  const signIn = <Button onClick={() => void session.signIn()}>Sign in again</Button>;
  return (
    <Alert type="error" header={header} action={statusOf(error) === 401 ? signIn : retry}>
      {messageOf(error)}
    </Alert>
  );
}

/** The error in words. The id of the request helps those who search the logs. */
export function messageOf(error: Error): string {
  if (!(error instanceof ApiError)) {
    return "No answer arrived. You may be offline, or the service may not be reachable.";
  }
  const seconds = error.retryAfter === 1 ? "second" : "seconds";
  const wait = error.retryAfter ? ` Try again in ${error.retryAfter} ${seconds}.` : "";
  const request = error.requestId ? ` (request ${error.requestId})` : "";
  return textOf(error) + wait + request;
}

/** The API's own text, except where that is advice to programmers. */
function textOf({ status, message }: ApiError): string {
  if (status === 401) return "Your sign-in has ended.";
  if (status === 429) return "There are too many requests at the moment.";
  if (status >= 500) return "The service has a problem at the moment.";
  return message;
}
