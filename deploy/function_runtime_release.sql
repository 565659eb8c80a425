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
--   ae5134e90c350886a3d9fe570f5888b856f305e393e7c04fb88add27c7194562  compiled_engine
--   c35f52f10dd7464dfae6cf4e388b0aa5f296e6371c60ed72ef8fe9a2dc4b2ea7  compiled_forward
--   28702c4ffec91657caf01fddc83459cc45d2baa1e45e9d5ee2b2bd656c11741d  database
--   9a62c8048f68635f947b5d7713fe1b2c1be8238717815a2a16077a22ce0a22a3  engines
--   f03655a3a19861cb5059118fa093093b0189d9df060cd4a9910931e2c400398a  errors
--   8a8831ab0132afc54cdb445c06ff79bcf0329bb1862798983b45c5ee3062a931  forward_steps
--   18c2db93020d972f80f9833fe72c932cca54c53baf1606ca678c256ac7ce4d20  generation
--   14ec5de9a7ad86a61d157bab5a1411627b9a319735cfbd7da8782852a07f4f19  geometry
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   8acfc97c6edb88fb6303529d040d0ddbe2d39a2c29484fb1e9f6733a84315fcb  ingestion
--   138d1b06095de0140ed341137f94159067bf3b64a1d4f7c24fef2c57fc74263c  kernels
--   afbb3b35187622d2eceea0311c6b81961864d8c1ed840a3d0943ea3123a106c3  kv_cache
--   0214bfea696358331287dd70339abf29c91369e8217addd7493c562239d26ea1  mapping
--   0b67f9020e7a82a6ce3203b0ce33cb46bc50abb5ff8b38b50d9ae14373b87c54  matrix_kernels
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   0202f53786a6b138590db060185a7cc59b97c53d9618c36eea55cf50a5401750  operators
--   2cb4924021c0a4043655ca3270b2ebf4ab1bc259adc0489c968c60ef1ee7e6cd  ops
--   f5ebade75268bfd7b02213c35363c0e3ce9381a2f0cde9dc915cb39cd1253bb1  packed_files
--   f2ad7360d720f88e6560ace7c9d166a469275bb165934a58943623a5a01f6c7a  packed_model
--   caf236024fa951fe0b56fa478ab525dd4324d2d9d3b0af8544e9a82c4ac4f5e1  packing
--   8d01c7ae7bd34053ced896478da19c6dd15bd29ec49f0d6843de1f4b4f30c2ac  quant
--   dbdf2ccdf6516ed512df219cab845036c528873983e35ce906585d2cb3cb1aa9  runtime
--   5f39363003522e0469bffe5bccec702d7f8dc86021519cc8de7fe94c475d773f  sampling
--   b3da8ba684d5f79d64e0a6e2011b469a08226ba36fc1dfcd93624b3ead95f31b  scoring
--   a941a96498595ca5ba0bb5a486d562ba11cd93b5aa19a2fcb1c4150b8c3ae2c4  shared_weights
--   2a96fbe38442af4d045432d439b82638e0c6f77f7e982b692c3d52bc5234a7e3  simd
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
RETURN 'fa7191efb89d2d88cf16106fed9f6b4b1ddb61cf3d459f095bee0d788fa6b405'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
