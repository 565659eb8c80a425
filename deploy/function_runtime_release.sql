-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   7167bbfb18c5cec4b3602b774095c11cb23b868577802049a89e69e967cb2fa9  architecture
--   fddf43532784d4035745f75cf343e974d270df42880a016c4ce40868056ef744  arguments
--   f13e54c4a35f05c9548a8388ae954837ca91ae999ff6a8618fb36c18f6f67172  atoms
--   fd95f1533ba01e7e2f312204d1508d9f0da96282bae9938d0401a1286fabd0d8  attention_kernels
--   28a567f8465b8736757c0d4c77b0e7a96f361375a8725e1f2776682d752b138e  background
--   b230e912b7f252e2fd75a70e311c02b582243e88ccbfe90aa4927339c39dc5a7  cache
--   14a9942062002d6850259296b31c4855cd50390b1f353a559fe4a90761386438  compiled_engine
--   c35f52f10dd7464dfae6cf4e388b0aa5f296e6371c60ed72ef8fe9a2dc4b2ea7  compiled_forward
--   28702c4ffec91657caf01fddc83459cc45d2baa1e45e9d5ee2b2bd656c11741d  database
--   9a62c8048f68635f947b5d7713fe1b2c1be8238717815a2a16077a22ce0a22a3  engines
--   f03655a3a19861cb5059118fa093093b0189d9df060cd4a9910931e2c400398a  errors
--   3cf19f38162c5ee3e7c3e1e0b3fb0c7a6a8a7fdce5de3e8a340dd64bc66f9892  forward_steps
--   c7a5e286dfb22fbdb26a557c155ee1c564531919087588c5c0db1863b4091d89  generation
--   14ec5de9a7ad86a61d157bab5a1411627b9a319735cfbd7da8782852a07f4f19  geometry
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   8acfc97c6edb88fb6303529d040d0ddbe2d39a2c29484fb1e9f6733a84315fcb  ingestion
--   138d1b06095de0140ed341137f94159067bf3b64a1d4f7c24fef2c57fc74263c  kernels
--   afbb3b35187622d2eceea0311c6b81961864d8c1ed840a3d0943ea3123a106c3  kv_cache
--   0214bfea696358331287dd70339abf29c91369e8217addd7493c562239d26ea1  mapping
--   2c93d20ab4adb4130f23ad5ac77811aa2f65f95c86dc0d4d5fe813fe80aec997  matrix_kernels
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   0202f53786a6b138590db060185a7cc59b97c53d9618c36eea55cf50a5401750  operators
--   2cb4924021c0a4043655ca3270b2ebf4ab1bc259adc0489c968c60ef1ee7e6cd  ops
--   584aa5df4dbe0c85810440a1f2d248c46096040fd1c133d9bde10ab0d6c8f0cb  packed_files
--   f2ad7360d720f88e6560ace7c9d166a469275bb165934a58943623a5a01f6c7a  packed_model
--   869780b1abef4ca6e9c9862fe3d26900d0a85eb2b65969ec0f675eed0fdfe925  packing
--   8d01c7ae7bd34053ced896478da19c6dd15bd29ec49f0d6843de1f4b4f30c2ac  quant
--   3d288288007fef4d927b0edc37e51f79c0682c8b75a24621543309353d2d4b68  runtime
--   5f39363003522e0469bffe5bccec702d7f8dc86021519cc8de7fe94c475d773f  sampling
--   4840f945cd2c7f99c872dc725cb2f010f0c40c9ada28a07f518581248354860c  scoring
--   a941a96498595ca5ba0bb5a486d562ba11cd93b5aa19a2fcb1c4150b8c3ae2c4  shared_weights
--   028fec5ae5297ca290547c3e3cce9e47b26fa0be15de0a9d5afe129870c1e038  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   2f176b0268f88c3d135b38ad35bbb9905af83ecb8fecb5689f4c0ab3c22e9d70  simd_memory
--   6462b2715632b5ea0899b2af3cd7693121123d1c6738777b6db8f3a152e8042b  threads
--   f47f10a78f5c514869ba74faa4bca1334d0b9c1ea071b7c061b6e9ac6cb41c63  tokenizer
--   f847aa4f09458d1ffded1a87d6decaf92a2c1e7e7180e9b1c8d2158436fe52da  warm_up
--   2183c21203055ad798696b70b362f6f0bbca3a55562a971cb7438dceabeb0318  weights
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '7f86168e5e6ad2051e71a45f7bc19c94b2c612736318aec52ca5cca2e0559adc'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
