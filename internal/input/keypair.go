package input

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// maxPairFile is the longest file that is read, in bytes: more than any chain of certificates has.
const maxPairFile = 1 << 20

// LoadKeyPair reads a chain of certificates, the one of the private key first, and the key, both in PEM. The key's file follows
// the rule of every file with a secret: [ReadSecretFile]. The pair has its Leaf. The error describes the two files, because
// those of the library mention blocks and ASN.1 alone.
func LoadKeyPair(certificateFile, keyFile string) (tls.Certificate, error) {
	chain, err := ReadFile(certificateFile, maxPairFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ReadSecretFile(keyFile, maxPairFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	files := pairFiles{certificateFile, keyFile, Trim(chain), Trim(key.Content)}
	pair, err := tls.X509KeyPair(files.chain, files.key)
	if err != nil {
		return tls.Certificate{}, files.explain(err)
	}
	return pair, nil
}

// pairFiles are the two files as they were read.
type pairFiles struct {
	certificateFile, keyFile string
	chain, key               []byte
}

// explain returns what is wrong with files that the library refuses with err.
func (c pairFiles) explain(err error) error {
	certificates, keys := blocks(c.chain, isCertificate), blocks(c.key, isKey)
	switch {
	case len(certificates) == 0 && len(blocks(c.chain, isKey)) > 0:
		return fmt.Errorf("%s holds a private key and no certificate: are the two files exchanged?", c.certificateFile)
	case len(certificates) == 0:
		return noCertificate(c.certificateFile, c.chain)
	case len(keys) == 0 && isPKCS12(c.key):
		return fmt.Errorf("%s is a PKCS#12 file (.p12, .pfx): convert it with: openssl pkcs12 -in FILE -nocerts -noenc -out FILE.pem", c.keyFile)
	case len(keys) == 0 && isDER(c.key):
		return fmt.Errorf("%s is in binary form (DER): convert it with: openssl pkey -inform der -in FILE -out FILE.pem", c.keyFile)
	case len(keys) == 0:
		return fmt.Errorf("%s holds no private key in PEM", c.keyFile)
	case isEncrypted(keys[0]):
		return fmt.Errorf("the private key in %s is encrypted, and a service cannot ask for the passphrase: "+
			"decrypt it with: openssl pkey -in FILE -out FILE.decrypted", c.keyFile)
	}
	for i, certificate := range certificates {
		if _, errOther := tls.X509KeyPair(pem.EncodeToMemory(certificate), c.key); i > 0 && errOther == nil {
			return fmt.Errorf("the certificate of the private key is number %d in %s: it must come first, "+
				"and behind it those of the authorities that vouch for it", i+1, c.certificateFile)
		}
	}
	if strings.Contains(err.Error(), "does not match") {
		return fmt.Errorf("the private key in %s belongs to none of the certificates in %s", c.keyFile, c.certificateFile)
	}
	return fmt.Errorf("%s and %s: %w", c.certificateFile, c.keyFile, err)
}

// LoadAuthorities reads the certificates of authorities in PEM. The error describes the file, as that of LoadKeyPair.
func LoadAuthorities(file string) (*x509.CertPool, error) {
	text, err := ReadFile(file, maxPairFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if text = Trim(text); !pool.AppendCertsFromPEM(text) {
		return nil, noCertificate(file, text)
	}
	return pool, nil
}

// noCertificate returns what is wrong with a file that has no certificate in PEM.
func noCertificate(file string, content []byte) error {
	switch {
	case isPKCS12(content):
		return fmt.Errorf("%s is a PKCS#12 file (.p12, .pfx): convert it with: openssl pkcs12 -in FILE -nokeys -out FILE.pem", file)
	case isDER(content):
		return fmt.Errorf("%s is in binary form (DER): convert it with: openssl x509 -inform der -in FILE -out FILE.pem", file)
	case len(blocks(content, isKey)) > 0:
		return fmt.Errorf("%s holds a private key and no certificate: name the file with the certificate of the authority", file)
	default:
		return fmt.Errorf("%s holds no certificate in PEM", file)
	}
}

// blocks returns the PEM blocks of the text that are of the kind.
func blocks(text []byte, isKind func(*pem.Block) bool) (found []*pem.Block) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return found
		}
		if isKind(block) {
			found = append(found, block)
		}
		text = rest
	}
}

func isCertificate(block *pem.Block) bool { return block.Type == "CERTIFICATE" }

func isKey(block *pem.Block) bool {
	return block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY")
}

// isEncrypted reports whether the key needs a passphrase, in the form of PKCS #8 or in the older one of OpenSSL.
func isEncrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}

// isDER reports whether the content begins as an ASN.1 sequence of more than 127 bytes, as every certificate and key does.
func isDER(content []byte) bool {
	return len(content) > 1 && content[0] == 0x30 && (content[1] == 0x81 || content[1] == 0x82)
}

// isPKCS12 reports whether the content begins as a PFX of RFC 7292: a sequence whose first members are the version 3 and another
// sequence. It need not be whole, and may have an indefinite length.
func isPKCS12(content []byte) bool {
	const sequence, longForm = 0x30, 0x80
	if len(content) < 2 || content[0] != sequence {
		return false
	}
	header := 2
	if content[1] > longForm { // the length is in that many bytes
		header += int(content[1] - longForm)
	}
	return len(content) > header && bytes.HasPrefix(content[header:], []byte{0x02, 0x01, 0x03, sequence})
}
