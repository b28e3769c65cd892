import type { components } from "./schema";

export type Problem = components["schemas"]["ProblemDetails"];
export type FieldError = components["schemas"]["FieldError"];

/** Answer of the API that is not a success. Other errors of a request mean that no answer arrived. */
export class ApiError extends Error {
  readonly status: number;
  /** Seconds after which the request may be repeated, if the API names them. */
  readonly retryAfter: number | undefined;
  readonly requestId: string | undefined;
  readonly fields: readonly FieldError[];

  constructor(response: Response, body: unknown) {
    // A proxy or a gateway may answer with another body, or with none.
    const problem: Partial<Problem> = typeof body === "object" && body !== null ? body : {};
    super(problem.detail ?? problem.title ?? `The API answered ${response.status}.`);
    this.name = "ApiError";
    this.status = response.status;
    this.requestId = problem.request_id;
    this.fields = problem.errors ?? [];
    const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
    this.retryAfter = Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
  }
}

/** Returns the status of an answer; undefined if none arrived. */
export const statusOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status : undefined);

/** Returns true if the request may have been carried out: no answer, a success without its data, or an error from 500 on. */
export function isOutcomeUnknown(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status < 400 || status >= 500;
}

/** Seconds of the answer's `Retry-After`. */
export const retryAfterOf = (error: unknown): number => (error instanceof ApiError ? (error.retryAfter ?? 0) : 0);

/** A page that must wait longer than this tells the person so instead of waiting in silence. */
const LONGEST_WAIT_SECONDS = 30;

/** Returns true if the same request may succeed in a moment. */
export const isTemporary = (error: unknown): boolean =>
  (isOutcomeUnknown(error) || statusOf(error) === 429) && retryAfterOf(error) <= LONGEST_WAIT_SECONDS;

/** Milliseconds until the next try: one second, then two, then four, but not less than `Retry-After`. */
export const retryDelay = (failures: number, error: unknown): number =>
  1000 * Math.max(2 ** failures, retryAfterOf(error));
