package config

import "time"

// inweboSettings say whom pimsd talks to, and as whom (docs/protocol.md §1, §3).
func (c *Config) inweboSettings() []setting {
	return []setting{
		{
			key: "inwebo.url", unit: "URL", preset: "https://otp.mpsa.com", value: baseURL(&c.Inwebo.URL),
			what:   "the inWebo host: scheme, host and port",
			effect: "Devices are known only to the host that they were enrolled with.",
		},
		{
			key: plainInweboKey, unit: "yes or no", preset: "no", value: yesNo(&c.Inwebo.AllowPlain),
			what:   "whether `inwebo.url` may begin with `http://` and name another machine",
			effect: "Yes: keys of devices cross the network readable. It is for simulators.",
		},
		{
			key: "inwebo.path", unit: "path", preset: "/iwws/MAC",
			value:  pattern(&c.Inwebo.Path, `/[A-Za-z0-9._~/-]*`, "a path that starts with / and needs no escaping, such as /iwws/MAC"),
			what:   "the path of the mAccess service on that host",
			effect: "Newer versions of the vendor's library use `/iwcxf/MAC`. A wrong path is answered with code 2006.",
		},
		{
			key: "inwebo.macid", unit: "hex", preset: "bb8e981582b0f31353108fb020bead1c",
			value:  pattern(&c.Inwebo.MacID, `[0-9a-f]{32}`, "32 lower-case hex digits"),
			what:   "the id of the white-label service",
			effect: "The default is that of PSA, for all its brands.",
		},
		{
			key: "inwebo.version", unit: "text", preset: "Generator-1.0/0.2.11",
			value:  pattern(&c.Inwebo.Version, `[!-.0-~]+/[!-.0-~]+`, "two versions joined by /, such as Generator-1.0/0.2.11"),
			what:   "the versions of host and library that pimsd says it is",
			effect: "inWebo may refuse versions that it finds too old, with code 2309.",
		},
		{
			key: "inwebo.service", unit: "text",
			value:  printable(&c.Inwebo.Service, 0, 128),
			what:   "the id or the name of the service to get OTPs for, when an account has several",
			effect: "Empty: the account's only one. An account with several then gets no OTPs.",
		},
	}
}

// inweboUserAgent is the User-Agent header of every request to inWebo, whose server is only known to answer agents that look
// like an Android phone.
const inweboUserAgent = "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 6 Build/TQ3A.230901.001)"

// exchangeSettings say how the requests get there.
func (c *Config) exchangeSettings() []setting {
	return []setting{
		{
			key: "inwebo.exchange_timeout", unit: "duration", preset: "6s",
			value: duration(&c.Inwebo.ExchangeTimeout, 100*time.Millisecond, 2*time.Minute),
			what:  "how long one request to inWebo may take, connecting included",
			effect: "Real answers take 0.2 to 1 s. Shorter: a slow answer to a finalize puts its device in doubt. A finalize is not " +
				"started when less than this is left of the deadline.",
		},
		{
			key: "inwebo.proxy_url", unit: "URL", secret: true,
			value:  secretURL(&c.Inwebo.ProxyURL, "http", "https"),
			what:   "the proxy between pimsd and inWebo, `http://` or `https://`; a secret, since it may carry a password",
			effect: "Empty: none. The usual proxy variables of the environment are not read.",
		},
		{
			key: "inwebo.ca_file", unit: "file", value: path(&c.Inwebo.CAFile),
			what:   "the certificate authorities that may vouch for inWebo's host, PEM",
			effect: "Empty: those of the system. Given, they replace those.",
		},
		{
			key: "inwebo.client_cert_file", unit: "file", value: path(&c.Inwebo.ClientCertFile),
			what:   "a client certificate to show to inWebo, PEM",
			effect: "Empty: none; the public service asks for none.",
		},
		{
			key: "inwebo.client_key_file", unit: "file", value: path(&c.Inwebo.ClientKeyFile),
			what:   "the private key of that certificate, PEM",
			effect: "Goes with `inwebo.client_cert_file`.",
		},
		{
			key: "inwebo.transcript_file", unit: "file", value: path(&c.Inwebo.TranscriptFile),
			what: "the file to which the form of each answer of inWebo is appended, for a report of what its host sends",
			effect: "It has names of elements, lengths and kinds of characters, and no value. Empty: none is written. It is for one " +
				"process, takes 1 MiB, and makes no call wait or fail.",
		},
	}
}
