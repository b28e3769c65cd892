import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { Navigate } from "react-router";

import { Page } from "./Layout";
import { useServices } from "./services";

/** First page, for people who are not signed in. It also is where a sign-out ends, so it does not sign in by itself. */
export function Welcome() {
  const { session } = useServices();
  const [isLeaving, setLeaving] = useState(false);
  const [error, setError] = useState(session.problem);
  if (session.person) return <Navigate to="/orders" replace />;
  const signIn = () => {
    setLeaving(true);
    session.signIn().catch((error: unknown) => {
      setLeaving(false);
      setError(error as Error);
    });
  };
  return (
    <Page title="Welcome">
      <Container header={<Header variant="h1">Order API</Header>}>
        <SpaceBetween size="m">
          <Box>Submit orders, watch them on their way, change and delete them.</Box>
          {error && <Box color="text-status-error">{error.message}</Box>}
          <Button variant="primary" onClick={signIn} loading={isLeaving}>
            Sign in
          </Button>
        </SpaceBetween>
      </Container>
    </Page>
  );
}
