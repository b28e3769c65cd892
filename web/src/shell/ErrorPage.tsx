import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import { Component, type ReactNode } from "react";
import { useRouteError } from "react-router";

interface Props {
  title: string;
  error: unknown;
  action?: string;
  onAction?: () => void;
}

const reload = (): void => window.location.reload();

/** A page for an error that leaves nothing else to show. */
export function ErrorPage({ title, error, action = "Load the page again", onAction = reload }: Props) {
  return (
    <Box padding="xxl">
      <title>{`${title} - Order API`}</title>
      <Alert type="error" header={title} action={<Button onClick={onAction}>{action}</Button>}>
        {error instanceof Error ? error.message : String(error)}
      </Alert>
    </Box>
  );
}

/** Error of a route: of its code, or of loading it. */
export function RouteErrorPage() {
  return <ErrorPage title="This page can't be shown" error={useRouteError()} />;
}

/** Shows an error of the app itself instead of a blank page. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <ErrorPage title="The page can't be shown" error={this.state.error} />;
  }
}
