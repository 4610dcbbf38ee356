/** What a person may do; an approver may also operate and read, an operator may also read. */
export type Role = 'reader' | 'operator' | 'approver';

/** Who may do what: the lists of the configuration and those who paired. An empty list means nobody. */
export interface People {
  /** `id` is `telegram:<numeric id>` or `terminal:<user name>`. */
  may(id: string, role: Role): boolean;
  /** Ids with at least this role. */
  withRole(role: Role): readonly string[];
  /** Adds somebody who paired; written to `<state>/people.json` at once. Called by the console only. */
  add(person: { id: string; name: string; role: Role }): void;
}
