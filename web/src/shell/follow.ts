import { useNavigate } from "react-router";

/** Event of a Cloudscape link. It is not sent if the link is opened in another tab. */
type FollowEvent = CustomEvent<{ href?: string | undefined }>;

/** Returns a handler with which a Cloudscape link navigates inside the app. */
export function useFollow(): (event: FollowEvent) => void {
  const navigate = useNavigate();
  return (event) => {
    event.preventDefault();
    void navigate(event.detail.href ?? "/");
  };
}
