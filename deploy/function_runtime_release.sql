-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   7167bbfb18c5cec4b3602b774095c11cb23b868577802049a89e69e967cb2fa9  architecture
--   4b8a8e0d43ea767b18d0aec422f4be4df9752846752849154c70828d3c32b56b  arguments
--   2a9975e3874322723c087798a60cc3c7aac00210cb3e7562c60afd561bdf1ed4  database
--   7d6cce54bfb6eaf6ab024640a45f8d69fe1b49a1386573de9b4f44ccb8a2734b  errors
--   217e12db8da636cfaa4da1eaaeed9d9c367c3f68fc0af45715185cd23c2c956c  generation
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   8bc9aba8586a7f19ff9b1afa68a0a1e243b602d8ab3441dd75e1d02c179cdbd9  kernels
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   35e17ee367e60535bacc9787e619986f419e33961fc9618f562480c99d31d66b  operators
--   163059b23814812d06f1e803e661cc15d1e7235378d6da81a389457b06eb174e  ops
--   8dbe279a7b54fe16aa3deef36cba18afe9c15fe934263f137f5e765625b5706e  packing
--   ffde22bc3eca8f7e08f0fb4497d0acb1e949746ece020d5d83ba71c30fafd5e2  quant
--   87ca8b17d3f428ac076eedd0dec89a8883d2a3f80b5c0a69a820eac3dd1197b1  runtime
--   5f39363003522e0469bffe5bccec702d7f8dc86021519cc8de7fe94c475d773f  sampling
--   24109af87cf33520cdb6e42d56291e7a8dbf03bda7df5dbe6e44c2ee34cf594f  scoring
--   bba33bc3ea36b6d6cd38348fe912168100c27fb004309017eea5a03756eaff93  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   19c869660453da25f218afe3620ba155da810551c68065b44802d10982fa4e26  simd_memory
--   fb2cbf734796cbc80ff15f8f9d135d4d23fc1b25284bfc7c7dede6e8dfae7c00  tokenizer
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '8930e688c286fa844b2838f989c333c28e190295e68c0256ab84ecac82f96110'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
