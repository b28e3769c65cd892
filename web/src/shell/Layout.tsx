import AppLayout, { type AppLayoutProps } from "@cloudscape-design/components/app-layout";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Flashbar from "@cloudscape-design/components/flashbar";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { type ReactNode, useEffect, useRef } from "react";
import { Outlet, useLocation, useNavigate } from "react-router";

import { useFollow } from "./follow";
import { useServices } from "./services";
import { useTheme } from "./theme";

/** Frame of every page: the bar at the top, and the page below it. */
export function Layout() {
  const { session } = useServices();
  const { theme, toggle } = useTheme();
  const follow = useFollow();
  const signOut = {
    type: "button",
    text: "Sign out",
    disableUtilityCollapse: true,
    onClick: () => void session.signOut(),
  } as const;
  return (
    <>
      <div id="top">
        <TopNavigation
          identity={{ href: "/orders", title: "Order API", onFollow: (event) => follow(toOrders(event)) }}
          utilities={[
            {
              type: "button",
              text: theme === "dark" ? "Light theme" : "Dark theme",
              onClick: toggle,
            },
            ...(session.person ? [signOut] : []),
          ]}
        />
      </div>
      <Outlet />
    </>
  );
}

/** The event of the identity's link has no address. */
const toOrders = (event: CustomEvent): CustomEvent<{ href: string }> =>
  Object.assign(event, { detail: { href: "/orders" } }) as CustomEvent<{ href: string }>;

interface PageProps {
  title: string;
  /** Name of the page below "Orders" in the breadcrumbs; none for the list itself. */
  crumb?: string;
  contentType?: AppLayoutProps.ContentType;
  notice?: ReactNode;
  children: ReactNode;
}

/** State of a navigation: a message that the next page shows. */
export interface Notice {
  notice?: string;
}

/** One page: its title, its breadcrumbs, its messages, its content. */
export function Page({ title, crumb, contentType = "default", notice, children }: PageProps) {
  const follow = useFollow();
  const navigate = useNavigate();
  const location = useLocation();
  const message = (location.state as Notice | null)?.notice;
  const dismiss = () => void navigate(location.pathname + location.search, { replace: true });

  // A navigation inside the app says nothing to a screen reader by itself: the focus moves to the new page, which begins
  // at its top.
  const content = useRef<HTMLDivElement>(null);
  useEffect(() => {
    window.scrollTo(0, 0);
    content.current?.focus({ preventScroll: true });
  }, [location.pathname]);

  return (
    <AppLayout
      headerSelector="#top"
      contentType={contentType}
      navigationHide
      toolsHide
      breadcrumbs={
        crumb && (
          <BreadcrumbGroup
            items={[
              { text: "Orders", href: "/orders" },
              { text: crumb, href: location.pathname },
            ]}
            onFollow={follow}
          />
        )
      }
      notifications={
        (message ?? notice) && (
          <>
            {message && (
              <Flashbar
                items={[
                  {
                    type: "success",
                    content: message,
                    dismissible: true,
                    dismissLabel: "Dismiss",
                    onDismiss: dismiss,
                    ariaRole: "status",
                    id: "notice",
                  },
                ]}
              />
            )}
            {notice}
          </>
        )
      }
      content={
        <div ref={content} tabIndex={-1} className="page">
          <title>{`${title} - Order API`}</title>
          {children}
        </div>
      }
    />
  );
}
