export interface Check {
  name: string;
  /** warn: it works, with something to know. */
  state: 'ok' | 'warn' | 'fail';
  text: string;
}

export type Finding = Omit<Check, 'name'>;
