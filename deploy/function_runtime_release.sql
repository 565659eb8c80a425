-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   80140b3dfaf0446d35c83c59d6b216eb89bab40557e1b3c2ed7f4c6f7b545155  architecture
--   2d2e5f208cb5d5c5c9d6ff51ef73a1abfb641ae1d84dd779cbc64bd9ff6d8623  arguments
--   2a9975e3874322723c087798a60cc3c7aac00210cb3e7562c60afd561bdf1ed4  database
--   7d6cce54bfb6eaf6ab024640a45f8d69fe1b49a1386573de9b4f44ccb8a2734b  errors
--   82c172ab023a6840eb231d0359196a03c9efd2ddb5294841d77af831cab74497  generation
--   2ccc8a8821c464c25bb4ac9aaec2c21867e81d683c18fff10c3b0df04fd0ac92  hilbert
--   862da176ab077a24991bb70e10d0de3099392be3d29c46205348dcf5e3bcfc14  numpy_engine
--   c2632c8abf44e09d41d9c5d3074680d468683083d76d633914a135a7d07d8dd6  operators
--   163059b23814812d06f1e803e661cc15d1e7235378d6da81a389457b06eb174e  ops
--   981ca8c0746338cbe33f37fcc80c87b27f78ec5afaf21c90fbb83eadea1b6492  quant
--   67654e1311403b8433a12f983bf43ead999b00a599f5b1457bcdaaaf6ce694a9  runtime
--   f3a8e3b9d68acc5d3e446e94fcfa86a3ba82b0463c5c335a0356590c39aa4e7e  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   19c869660453da25f218afe3620ba155da810551c68065b44802d10982fa4e26  simd_memory
--   fb2cbf734796cbc80ff15f8f9d135d4d23fc1b25284bfc7c7dede6e8dfae7c00  tokenizer
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '7988176fa5e6b8ad47acc7d1e47777eec3fe7394daf9798d96cabc8998c45d22'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
