// What is publicly documented of sending through well-known mail providers. Everything can be changed by hand afterwards.
export interface Provider {
  id: string
  name: string
  host: string
  port: number
  security: 'starttls' | 'tls'
  /** What to know before it works; a key of t().smtp.know. */
  know: 'microsoft' | 'google' | 'app' | 'enable' | 'own' | 'plain'
  domains: string[]
}

export const providers: Provider[] = [
  { id: 'microsoft', name: 'Microsoft 365', host: 'smtp.office365.com', port: 587, security: 'starttls', know: 'microsoft', domains: ['onmicrosoft.com'] },
  { id: 'google', name: 'Google Workspace, Gmail', host: 'smtp.gmail.com', port: 465, security: 'tls', know: 'google', domains: ['gmail.com', 'googlemail.com'] },
  { id: 'icloud', name: 'iCloud', host: 'smtp.mail.me.com', port: 587, security: 'starttls', know: 'app', domains: ['icloud.com', 'me.com', 'mac.com'] },
  { id: 'yahoo', name: 'Yahoo', host: 'smtp.mail.yahoo.com', port: 465, security: 'tls', know: 'app', domains: ['yahoo.com', 'yahoo.de', 'yahoo.co.uk', 'ymail.com'] },
  { id: 'gmx', name: 'GMX', host: 'mail.gmx.net', port: 587, security: 'starttls', know: 'enable', domains: ['gmx.de', 'gmx.net', 'gmx.at', 'gmx.ch'] },
  { id: 'webde', name: 'WEB.DE', host: 'smtp.web.de', port: 587, security: 'starttls', know: 'enable', domains: ['web.de'] },
  { id: 'telekom', name: 'Telekom', host: 'securesmtp.t-online.de', port: 465, security: 'tls', know: 'own', domains: ['t-online.de', 'magenta.de'] },
  { id: 'ionos', name: 'IONOS', host: 'smtp.ionos.de', port: 465, security: 'tls', know: 'plain', domains: [] },
  { id: 'strato', name: 'STRATO', host: 'smtp.strato.de', port: 465, security: 'tls', know: 'plain', domains: [] },
  { id: 'mailbox', name: 'mailbox.org', host: 'smtp.mailbox.org', port: 465, security: 'tls', know: 'plain', domains: ['mailbox.org'] },
  { id: 'posteo', name: 'Posteo', host: 'posteo.de', port: 465, security: 'tls', know: 'plain', domains: ['posteo.de', 'posteo.net'] },
]

/** The provider of an address, where its domain is the provider's own. Company domains tell nothing. */
export function providerOf(address: string): Provider | undefined {
  const domain = address.slice(address.lastIndexOf('@') + 1).replace(/>?\s*$/, '').toLowerCase()
  return domain ? providers.find((p) => p.domains.some((d) => domain === d || (p.id === 'microsoft' && domain.endsWith(`.${d}`)))) : undefined
}

/** The provider whose server it is. */
export const providerAt = (host: string): Provider | undefined => providers.find((p) => p.host === host.trim().toLowerCase())
