/** One thing that was looked at. Contract: `mend` is there whenever it is not ok and a person can do something. */
export interface Finding {
  subject: string;
  ok: boolean;
  text: string;
  mend?: string;
}
