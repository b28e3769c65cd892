import { useEffect, useState } from "react";

/** Returns true once that instant, in milliseconds, has passed. */
export function useHasPassed(instant: number): boolean {
  const [passed, setPassed] = useState<number>();
  useEffect(() => {
    const timer = setTimeout(() => setPassed(instant), Math.max(0, instant - Date.now()));
    return () => clearTimeout(timer);
  }, [instant]);
  return passed === instant;
}
