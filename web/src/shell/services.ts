import { createContext, useContext } from "react";

import type { Api } from "../api/api";
import type { Person, Session } from "../auth/session";
import type { Config } from "../config";

/** What every part of the page may use. */
export interface Services {
  config: Config;
  session: Session;
  api: Api;
}

export const ServicesContext = createContext<Services | undefined>(undefined);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (!services) throw new Error("There is no ServicesContext above this component");
  return services;
}

export const useApi = (): Api => useServices().api;

/** The person who is signed in. Only pages behind the sign-in may ask. */
export function usePerson(): Person {
  const { person } = useServices().session;
  if (!person) throw new Error("Nobody is signed in");
  return person;
}
