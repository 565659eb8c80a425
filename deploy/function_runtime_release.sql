-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   7167bbfb18c5cec4b3602b774095c11cb23b868577802049a89e69e967cb2fa9  architecture
--   62c1b733641f1feee7bd307a42e8d07b74e004b7385265ac2a5b8e897024ea21  arguments
--   bc05c907015c054a86967a9962d92629f365ae0066209e178f4d0d9dab309f17  attention_kernels
--   37226cf97150ca2d1a614e9c46148875ba548176432772f4ce921932a0f0b92b  database
--   7d6cce54bfb6eaf6ab024640a45f8d69fe1b49a1386573de9b4f44ccb8a2734b  errors
--   5a541dcfae49890178872f642194c2b6edb6793683ca3abdae811ca2fba52115  generation
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   138d1b06095de0140ed341137f94159067bf3b64a1d4f7c24fef2c57fc74263c  kernels
--   0b67f9020e7a82a6ce3203b0ce33cb46bc50abb5ff8b38b50d9ae14373b87c54  matrix_kernels
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   8bc61f2580c8226a4bc491a90ba5d2cb4d9126847480d0c3a5dc31de63a22136  operators
--   163059b23814812d06f1e803e661cc15d1e7235378d6da81a389457b06eb174e  ops
--   8dbe279a7b54fe16aa3deef36cba18afe9c15fe934263f137f5e765625b5706e  packing
--   ffde22bc3eca8f7e08f0fb4497d0acb1e949746ece020d5d83ba71c30fafd5e2  quant
--   17826170667cfa0569dbfd234c9ff5212cd101e91a5d36034e31f962af45f3ac  runtime
--   5f39363003522e0469bffe5bccec702d7f8dc86021519cc8de7fe94c475d773f  sampling
--   24109af87cf33520cdb6e42d56291e7a8dbf03bda7df5dbe6e44c2ee34cf594f  scoring
--   0ad50bebc4dd7f8444291a38b00afab0b77e99532af9d18985c05f9775d7670e  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   19c869660453da25f218afe3620ba155da810551c68065b44802d10982fa4e26  simd_memory
--   fb2cbf734796cbc80ff15f8f9d135d4d23fc1b25284bfc7c7dede6e8dfae7c00  tokenizer
--   afa175169d7e7f0a58064820eb9b167d17f9337ac896d435572f37852b5cb1e8  weights
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN 'e3b1df49f6d3a4a8a04f107b2af51f28b8ed74e4395aaf4984f89297cad4b960'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
