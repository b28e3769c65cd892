import I18nProvider from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { type QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useState } from "react";
import { createBrowserRouter, Navigate, type RouteObject } from "react-router";
import { RouterProvider } from "react-router/dom";

import { ErrorBoundary, RouteErrorPage } from "./ErrorPage";
import { Layout } from "./Layout";
import { RequireSignIn } from "./RequireSignIn";
import { type Services, ServicesContext } from "./services";
import { Welcome } from "./Welcome";

// The last part of an order's address is its id, which has no dot: the site's hosting takes a path with one for a file.
const routes: RouteObject[] = [
  {
    element: <Layout />,
    errorElement: <RouteErrorPage />,
    hydrateFallbackElement: <></>,
    children: [
      { path: "/", element: <Welcome /> },
      {
        element: <RequireSignIn />,
        errorElement: <RouteErrorPage />,
        children: [
          { path: "/orders", lazy: async () => ({ Component: (await import("../orders/OrdersPage")).OrdersPage }) },
          {
            path: "/orders/new",
            lazy: async () => ({ Component: (await import("../orders/NewOrderPage")).NewOrderPage }),
          },
          {
            path: "/orders/:userId/:id",
            lazy: async () => ({ Component: (await import("../orders/OrderPage")).OrderPage }),
          },
        ],
      },
      { path: "*", element: <Navigate to="/orders" replace /> },
    ],
  },
];

export function App({ services, queryClient }: { services: Services; queryClient: QueryClient }) {
  const [router] = useState(() => createBrowserRouter(routes));
  return (
    <I18nProvider locale="en" messages={[messages]}>
      <ErrorBoundary>
        <ServicesContext value={services}>
          <QueryClientProvider client={queryClient}>
            <RouterProvider router={router} />
          </QueryClientProvider>
        </ServicesContext>
      </ErrorBoundary>
    </I18nProvider>
  );
}
