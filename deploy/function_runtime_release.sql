-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   524ed70c6c4db3a28ac8f9174717cb25be048139ddab10adedb864bba5a9fa6e  admission
--   35b459847c6ead9ab5a128effddd46cd13b4acc794980fcfbf5be14080b797c6  architecture
--   ccfd1f44bcfec18931e32c50046e086ee15da05c525fb461d577fba6c3a7d20e  arguments
--   f13e54c4a35f05c9548a8388ae954837ca91ae999ff6a8618fb36c18f6f67172  atoms
--   b812323af1171a0bd08c5bb0432764ada49e3b3551e28c0a21730624a0414e9d  attention_kernels
--   28a567f8465b8736757c0d4c77b0e7a96f361375a8725e1f2776682d752b138e  background
--   3efbac988a270ae4a96d009c6d8bcadde5b9ec417080c597a48738371461592c  batches
--   c21c04d9560a44bb6db09f14b04be2dfa22fad4df48af18733a87996a205a863  blending
--   181643c6c267952dc85ec4b44432b2a92c59ef9a4f090248f494660c8247ab8d  cache
--   dee9d360f3d4a73d63fbc4b2b1111f02007f8cee1b4a2f9940a3f263ad3370c4  comparison
--   4b559cde7bde5244cf6c21f95232e4852e9b3890131a238c482a382cb46b1f96  compiled_engine
--   f97e33bcfa555c803db3d569c2ab83693e7e454669c80d047c91d2c724863925  compiled_forward
--   7ae6a9c59e2c1c30f834016f247ae1bee17c786aafff7022b1fa0825ec9157eb  database
--   bbdbb3a71e5d08ed0829d5885ce9ae2fc4a6c3c2cf9f3d339494ae4624e444d7  editing
--   3941fad3065f41a9436fd9e981ffe5e84043be82ff5e0137fea7f61f9c3f752f  engines
--   f03655a3a19861cb5059118fa093093b0189d9df060cd4a9910931e2c400398a  errors
--   3fa1a21370554e4cc5fc95222c769b40d2093c08f45bd643676fe06db442dc6c  forward_steps
--   49a5e48c8556c5cfc3d85b2d01bf87fad3aacfc5005eb29cc2c99e25076165bd  generation
--   a385b902c33d513fed938a35f7c0ee3c62241addadba3d573f5e9071e71efc81  geometry
--   d3dc1c828b43d895193c2be382e67bf569397dfedb8e4f34eceec70160c2adaa  guessing
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   8acfc97c6edb88fb6303529d040d0ddbe2d39a2c29484fb1e9f6733a84315fcb  ingestion
--   8423bae8086dd1461db9c06a27bc36376c246a6d3792b3f00a81e72fdacfba88  kept
--   f8cfc303c3809c960f8a49a0c6c69c9550c0acc97e050aaa1ed14a71e39a7b69  kernels
--   c95da925892cc9044da4cd40dc24f811a620b45bdded3b66c42e080973a7e99e  kv_cache
--   49ee171c537c25016cc91cca6e0084aef8c26838bd2195e015576cd0d7c343f6  loaded_model
--   3f36549cf3790e3cf82dbf4232d4bb4d1396a04d33da175b770a177934aabfd8  mapping
--   26f16736738b7c884e61e881dd041174abc28b8b8c4e916eb4a577108b430608  matrix_kernels
--   0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370  merging
--   ff910646c50f9069d9d1818ca4bfa06ae0b9440188ea10613f5ca713762e0f6c  moment
--   f32c42bf57fb579cbfaadadea4a1a759b9cd51c3b47320fc0f950031e4b6cddf  numpy_engine
--   3dad49b01dafca76a82ec0a8b1cee7c060229f1e573344ed4e42c856a70ab454  operators
--   2cb4924021c0a4043655ca3270b2ebf4ab1bc259adc0489c968c60ef1ee7e6cd  ops
--   6e6eb792c63eb53b0cfd5be9fd18c1d74f0fa82759a898b647b30bf337a19604  packed_files
--   6b8d450bd384c98ddb37bf4c912eccac459daeb6362b6a31febe86ce87ca03b9  packed_model
--   fd66a52a8c9447b2c4679946bf9bb03bc200248dd60f8a56f1681db1c0932a85  packing
--   08692f6356ae79be4d0253e55471ebe864894b27a55c77aa354d352093bb3fbe  prefix_cache
--   8d01c7ae7bd34053ced896478da19c6dd15bd29ec49f0d6843de1f4b4f30c2ac  quant
--   2d24610b67d246421f14672a612946c4e88a43bee973382efbd502e1126d39d0  rewriting
--   513d7f242b2cdbd0181185ec07f0586e04a78ecd481a37d131ca63a4180f420f  sampling
--   a1d1ba2e5657373ed5a50e4c3c95f1ea5f77a695bed7817a1c69cc48a65e1d03  scheduling
--   b274e36ce2e21af5585ed775f5214a581a0ca1f0aeb9f76823df1d8992d401ae  scoring
--   2d51410d4e048490d6ccb400c8cf0dd87d751733fe8a3cc6f095d793c19283f8  session_caches
--   7b8bc08c93bd7c8fbb83aec2371e12a6e4fe6cb7ffd68e25c40cd042ab896ec3  session_models
--   3c2fd4682dca197e92d9870364646edee8bbf63f33e62ebdc05f6ab46d5262a8  settings
--   88bb7501996cb47e411d9e59944540c99d5614c84b4c23664b9e1c7ba2677bcf  shared_weights
--   bd3f8c888ca709f4e7c25ab557b10f744c37244102c1de3ed1fd17f40cdea42e  simd
--   3c7f8cb71cb99a372ed17ea4eff4ec6025fa524db1d78e68adf6ebd8ae861399  simd_forms
--   ec7562c0bfb9bfbe170bf76c4f54a4bbaaad8c46a3ab17cd676d5bcce72ff53b  simd_memory
--   873c3e2302e3f4aa22bfcd14b432adafca6a7cca0132689181b662a038774a58  stored_models
--   57dd1c3862ac569259a76fcb2f59e9aa25de18a705f90e1821a6dcb701a9c13b  threads
--   4f3f4054f8efad6d05bf1d2f38efc18d63ac49cf1cb7087da03a45acea415e2d  tokenizer
--   f847aa4f09458d1ffded1a87d6decaf92a2c1e7e7180e9b1c8d2158436fe52da  warm_up
--   2183c21203055ad798696b70b362f6f0bbca3a55562a971cb7438dceabeb0318  weights
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN 'e7cbf4c0760f1e80abeb20bb1c8d1f3354f1fc204e1bb5d945c232a4d47d04d9'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
