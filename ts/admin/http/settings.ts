/** Where the admin server listens, and whom it lets in. */

/** See the head of this file. */
export interface AdminSettings {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** What requests have to bring along as `Authorization: Bearer ...`. */
  readonly token: string | undefined;
  /** As PEM. Only who has a certificate of `ca` is let in. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
}

/** The port of the admin server where none is given. */
export const ADMIN_PORT_DEFAULT = 4480;
/** The port of a dashboard's server where none is given: a node may have both. */
export const DASHBOARD_PORT_DEFAULT = 4481;

/** Can only programs of this machine reach an address of this host? */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
