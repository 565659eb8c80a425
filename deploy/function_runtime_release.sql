-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   7167bbfb18c5cec4b3602b774095c11cb23b868577802049a89e69e967cb2fa9  architecture
--   fddf43532784d4035745f75cf343e974d270df42880a016c4ce40868056ef744  arguments
--   f13e54c4a35f05c9548a8388ae954837ca91ae999ff6a8618fb36c18f6f67172  atoms
--   658305d87bb16052d0b893c606e0188524f6e02819e05bc1cf4f9335efd576af  attention_kernels
--   40847917356e0c013d3298d57b65529cdb5f20a322530e7a8cf860615d185658  compiled_engine
--   b1f06669888143f0bcf04ecc09297be5f5c73bb10a627fcea968b42af19405ee  compiled_forward
--   37226cf97150ca2d1a614e9c46148875ba548176432772f4ce921932a0f0b92b  database
--   f03655a3a19861cb5059118fa093093b0189d9df060cd4a9910931e2c400398a  errors
--   6341a7d790db40bdca629764ed391f008e205b24f2664a6eb193127b5c850a35  forward_steps
--   5a541dcfae49890178872f642194c2b6edb6793683ca3abdae811ca2fba52115  generation
--   14ec5de9a7ad86a61d157bab5a1411627b9a319735cfbd7da8782852a07f4f19  geometry
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   8acfc97c6edb88fb6303529d040d0ddbe2d39a2c29484fb1e9f6733a84315fcb  ingestion
--   138d1b06095de0140ed341137f94159067bf3b64a1d4f7c24fef2c57fc74263c  kernels
--   afbb3b35187622d2eceea0311c6b81961864d8c1ed840a3d0943ea3123a106c3  kv_cache
--   0214bfea696358331287dd70339abf29c91369e8217addd7493c562239d26ea1  mapping
--   0b67f9020e7a82a6ce3203b0ce33cb46bc50abb5ff8b38b50d9ae14373b87c54  matrix_kernels
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   08a9140577f046bf8710b57a62f8ba4764aa322d385e069a8c07aa8d3c202a32  operators
--   2cb4924021c0a4043655ca3270b2ebf4ab1bc259adc0489c968c60ef1ee7e6cd  ops
--   2774053c3d7c4e3f188150d296815bea4667403e5753ef80129c22cb0cc78fb9  packed_model
--   caf236024fa951fe0b56fa478ab525dd4324d2d9d3b0af8544e9a82c4ac4f5e1  packing
--   8d01c7ae7bd34053ced896478da19c6dd15bd29ec49f0d6843de1f4b4f30c2ac  quant
--   a2ca4c7375b32657819354de2656bce7c1c3ff53ac947d65619fd516ebf525ec  runtime
--   5f39363003522e0469bffe5bccec702d7f8dc86021519cc8de7fe94c475d773f  sampling
--   24109af87cf33520cdb6e42d56291e7a8dbf03bda7df5dbe6e44c2ee34cf594f  scoring
--   4941a85506d7d3a63decb801a50a68571a82e4e4a101fcdf2637250f7e64fd20  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   19c869660453da25f218afe3620ba155da810551c68065b44802d10982fa4e26  simd_memory
--   6462b2715632b5ea0899b2af3cd7693121123d1c6738777b6db8f3a152e8042b  threads
--   fb2cbf734796cbc80ff15f8f9d135d4d23fc1b25284bfc7c7dede6e8dfae7c00  tokenizer
--   afa175169d7e7f0a58064820eb9b167d17f9337ac896d435572f37852b5cb1e8  weights
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '8f4dbeba73b236319fed5851b16d27c4e11d5a9d29a80e5458545d24ad3155bf'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
