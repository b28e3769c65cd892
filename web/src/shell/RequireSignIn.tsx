import Box from "@cloudscape-design/components/box";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useEffect, useState } from "react";
import { Outlet } from "react-router";

import { ErrorPage } from "./ErrorPage";
import { useServices } from "./services";

/** Shows its pages to people who are signed in, and leads others to the sign-in and back. */
export function RequireSignIn() {
  const { session } = useServices();
  const [error, setError] = useState<unknown>(session.problem);
  const mustSignIn = !session.person && error === undefined;

  useEffect(() => {
    if (mustSignIn) session.signIn().catch(setError);
  }, [session, mustSignIn]);

  if (session.person) return <Outlet />;
  if (error !== undefined) {
    const again = () => session.signIn().catch(setError);
    return (
      <ErrorPage title="You are not signed in" error={error} action="Sign in again" onAction={() => void again()} />
    );
  }
  return (
    <Box padding="xxl" textAlign="center">
      <StatusIndicator type="loading">Signing in</StatusIndicator>
    </Box>
  );
}
