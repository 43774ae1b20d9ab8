package inwebosim

import (
	"fmt"
	"math/big"
	"slices"
)

// maxSecrets is the largest ms_n: each secret has a key of its own.
const maxSecrets = 4

// keyring holds the server's RSA keys by what they do (section 2).
type keyring struct {
	seal    *rsaKey // Kfact
	kiw     *rsaKey // Kiw
	secrets []*rsaKey
}

// newKeyring deals the fixed keys to their roles. The seed decides which key plays which, so that a
// client that has learnt a modulus by heart fails with the next seed.
func newKeyring(seed uint64) (keyring, error) {
	var keys []*rsaKey
	for i, pair := range fixedPrimes() {
		p, okP := new(big.Int).SetString(pair[0], 16)
		q, okQ := new(big.Int).SetString(pair[1], 16)
		if !okP || !okQ {
			return keyring{}, fmt.Errorf("test key %d is not hex", i)
		}
		k, err := newRSAKey(p, q)
		if err != nil {
			return keyring{}, fmt.Errorf("test key %d: %w", i, err)
		}
		keys = append(keys, k)
	}
	first := int(seed % uint64(len(keys)))
	keys = slices.Concat(keys[first:], keys[:first])
	return keyring{seal: keys[0], kiw: keys[1], secrets: keys[2:]}, nil
}

// fixedPrimes are 512-bit primes whose products have 1024 bits and allow the exponent 17. They are no
// secret: they spare each start the search for primes and make runs repeatable.
func fixedPrimes() [2 + maxSecrets][2]string {
	return [2 + maxSecrets][2]string{
		{
			"e22fba4064eb6338633747e9b85bae70ddad04093166e7dcdb95af783421ce29" +
				"3905c8c1e0209a5853f4c803bf78ed2ebe7a8f4c992b762583bf1b90e9740eeb",
			"c6fe8cf6daee1e0151bed80735f04d1ea73231f0762628a9eb7a1faa97c3d8aa" +
				"324e08df9e0b8a42c4bcf2af47e24cdcefd4a02a49481153d6223169328bec03",
		},
		{
			"d317d211c51714d62a757556343470bbc877c934a8a351d0f3390b34902d7cbd" +
				"d06dcede34fd23a33fd189cf46d62ff6ca3fe849a823bea96c1aff0adc6b7797",
			"f59786b099476ca5fa2d2f8ae50b7a52f5c482cfb814a34c0e0f48b83049bbd5" +
				"095fabac70a34e0df19929baa00ea2f8e1a94782536703e2f1db48caeae2f1c3",
		},
		{
			"c90cb806873532b6841bdba88661c99197649b4117e2732ca13cdebe2707b064" +
				"7770011d7383e931c492d70b4f65466025b8a37a2475491639ae061295bedfeb",
			"d08cffa58293788a9b84d59f67d30fd4fd48e0a1f16f351805c4d9d9f4baeb7e" +
				"43d12400c8299102f3f965c20370db1125f3777d661badf5f888053616025a8f",
		},
		{
			"c1fe89d2d7a0fb497e8e7cfbbec3d213e3fb9e8cab24625433e47c4609d54ae9" +
				"71f379fbc80c0e7fb69abd506bdf570f5f037c8850873654eb1cfd7110d4c37d",
			"c607e9a750bbdcdd2b7f59f8fd3f75e2e73bbde4b8728a38b16e6c67106e34a0" +
				"264974286031b546b608f1484ff0aa20ad9927434c056f47b03f46dda13bc081",
		},
		{
			"e514ea58d8b3405858e1ae29bd941808cdaadb5bdbf32ea23a425ac2f3224c32" +
				"dd7df55d2e50fee38119232155430ba254fc1243654e63f195d544c70c0f0abf",
			"d173833b5e981c811fc50ea6c4beb851d6b5111f31dc28f9394aa59cced885fe" +
				"7b6e21dd7fe76c1ec1a1d33445c86e9d86150f28ef19f0e5e6852465ee59eb95",
		},
		{
			"ea907716dd26da075b73006373b51e08e61f920efaecf79e4d08abcb0e51cbc4" +
				"8ca6671392a7fc0028978427c469a4edc02156418e90ac1f865c45a7cbfff527",
			"e74ea761b571c9d6b8840e2d9a06fb9c3c6497f651a69bd4b0ed0c543495aed2" +
				"d6b97c5dd18b43d0cac010b4f02455ccf93ecf898b72b0f1470a66c149ccbc31",
		},
	}
}
