-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   524ed70c6c4db3a28ac8f9174717cb25be048139ddab10adedb864bba5a9fa6e  admission
--   c1c2fd4385f052ec43e3ceedf5f6bceecdd81dd5134f5e82c2a7dd54bddb0b58  architecture
--   8ea1abea39e7e4ec12a0d58a5dc7960d23e548992b28751acfcfd49779e9d022  arguments
--   f749c00edbbeefb73330720446dd5341c82b9cd9fb61e2afc412f206bfe2c367  atom_rows
--   ea210a536bc212fe2cfe9d04836062618ef33c79a5d83cdfe0d4aaf1d6d4781b  atom_runs
--   934e6957ccaf6038b5443cebaac93665fcc068b055164e06d01ca769780ca730  atoms
--   3bd70587a15c1724bbcfa9c05ec0c65cc1cead93322bf57ac278d5bdd9ab943b  attention_kernels
--   28a567f8465b8736757c0d4c77b0e7a96f361375a8725e1f2776682d752b138e  background
--   ad106ed307f0d85ab5d1a97662326e2334658fef96c2df91d68474b14f7fe2c6  batches
--   c217c42c6dcf760da553c48f66a1c86de8760e1c7b70dd8a98e009f294eb7cd3  blending
--   116c29b02a24a57161130c7a4043160e88f45fc4d87f9905be047ed2c943cd09  cache
--   2750d552f1764decac52422f1460b08b120e89c5a7fa7da51ec2f693e08056a6  candidate_kernels
--   c29f07214cf8569b97ef50fa52c45265275ae1b903de87331c9e10ef6b7ccdcf  candidates
--   f66944b63f1c834a49f98f9f5af31d336c561a179d3c1d329f159555d8dc92f6  chunking
--   dee9d360f3d4a73d63fbc4b2b1111f02007f8cee1b4a2f9940a3f263ad3370c4  comparison
--   9802987fe26820b9e4ae73bfad4d43d11900d8171312cd7288188baf450b1378  compiled_engine
--   c0473b125d78dbe113a9aa5357e361e039ad0b9018f407534a3695a228d6e25d  compiled_forward
--   05e8b1ba15f779f0b83c9bd961c6505daeace4fd58fc216b8e040c50a87fdf77  compiled_operators
--   a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377  cosine_search
--   83b88e9d4cdbfb094fb611d0de35562f61619076a0becb833e3543d32822807d  database
--   bbdbb3a71e5d08ed0829d5885ce9ae2fc4a6c3c2cf9f3d339494ae4624e444d7  editing
--   a424e9ddf0f97527f761e3ce19e61186f451cbc7b532b4788b05adea078356cc  embedding_columns
--   5a336a5618fc9b4532abb79c2be835e8cb8c7503bc0df85fcd13a72deec503b6  embeddings
--   504f4b420144676f1dacc7967e54f2934b603ec614980f9db7e5767a6d5b7b03  encoder_architecture
--   bd7fbc5adf63b34b21e0c72f546ef75d89e0cadfa3fcfddd2f9957e08218fd7f  encoder_engine
--   1a66ea21751f499ac5d575c89981cc0e4290c4758a556675931863bad8a967a8  encoder_forward
--   11b59fc669937b4fe96106c163ef70f535ef200f9220f18ea6aadcf8c19d55ef  engines
--   7f7a51823d8487d7542d1645e6bbdf91ab15bb44827a403ec5ea58927c6b1155  errors
--   08e2758afc8f4c0f8e50e902e82b5c976443eabe7626683b4480dc3f20b4a821  finite
--   32fab3929ab9b47b177a24b9a8d18e48454cabeabc3830e46a32e618d24fc411  forward_steps
--   574260e2ae36382c543818372264e5ad35997fdd2f32cc664908afdf78fc7bb5  generation
--   39abe16e5cb913b67aa8cea874b3260df6aeff848b6d4c5b80b2516536b31893  geometry
--   d3dc1c828b43d895193c2be382e67bf569397dfedb8e4f34eceec70160c2adaa  guessing
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   d092e0489da9ef53b5fb23937a06b75e8b2e5c283790cfdad6d9476016521626  hilbert_plane
--   c8d22605197646d5efbe3457f3adb06b9cc8334f3b412ff9de7db15a9b73c532  ingestion
--   fa2c6afbb837391b4325ec2ba9930a2b9437827b877bcf855a91b93163676dad  kept
--   d631edf2f3ea028f2841b4ad52c1ecf41b22601c07df9cb78a9aeb47cb57f682  kernels
--   aee041e1122cfd1766e39d3291f2ba656b5c9fd2157aa99f807851338cfa057d  kv_cache
--   6b1426c98cf59c2818d647eebd3865d4302b428fc461004cbc8da1518378965e  kv_pages
--   61f828a8fc64da5bed6fd12c8f49740ae9b30ca5d03ea0bdc88931950ffcdd18  loaded_model
--   55c82b983fd0194715b51a0503cf09e433b9580e2ac769aadbbf192536c69beb  mapping
--   cfe7b90c4a6e14e9863c7b04365ea3756115aae378c88a72d2c4a6c48e3d0e3a  matrices
--   ce840604ca225ddb0921f90d38c4e692c5d3c515a84d7b6bea82758016efb7f1  matrix_kernels
--   0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370  merging
--   cbf66580ccab3a725ee6d50ef5fdbade286b70a6f2297e3e4d62c823b56818fd  moment
--   8f467bbe18fbb52086c922889164f65272444b83c7affbc69fe37fe1abead7f2  numpy_encoder
--   33ba80257fe81c1ba720d5ee11a4322d0d2f080260e549e0a4ebd9cd103933b8  numpy_engine
--   7037713b2654117b7b0a6a4b9303e9b2f0a9e4313a073380477f1662696a130d  numpy_operators
--   235ed0c5d569c50555c75265588f6bf1ed1885d0623f36b40eac590ff768b835  operator_kernels
--   647093ec518febf12b3051d0836c08ebe3cba7e997a82a7d95337aa94d04d156  operators
--   6ad97f0daddfbf52d25eb6c8d380d2d924e8872f301d2363c4be2cb76630fb23  ops
--   3a85081438bf645cd31e1f78f655bb2f825ad1018bbf8288581fc4be5640aef2  packed_files
--   1ad7476f227cbdb8e3c975eaa0b9e1aaff1e5d0489d94006ba7cc01f8b5d67c4  packed_model
--   9751b9f41e06a2592ebccec8f1953fd85e55a062b188bc1c6e117a081c908f27  packing
--   9b86547881091163d52b6f53a203ee202550f143a7781e24f4a5363544858be9  positions
--   08692f6356ae79be4d0253e55471ebe864894b27a55c77aa354d352093bb3fbe  prefix_cache
--   7f314f629c024053477db2b75dde7f26e344c0a0de0658c7d37805de2049889a  projection
--   482f66f1783206fd1868e498acd2d119c4429e9ebeaf62862d0b0a914c4cd7f4  quant
--   58e3571ccf9f50f139eebd192ae0a0a89dfcb54592ff10292c6b86edf249cabc  rewriting
--   a7bb1ea54215c65ff72dee157db107fed8f0f8638cbd4c432ff4f84b357c5a49  sampling
--   a1d1ba2e5657373ed5a50e4c3c95f1ea5f77a695bed7817a1c69cc48a65e1d03  scheduling
--   360cd3bc1ca1104d9daa14d26722953b9e9401b375f116fc87b2bed50e87a302  scoring
--   3301c8e76669c7b1cf30bd51e7b4d68966dccdbb934e6aa89865e8d8f8cb48fe  searching
--   c99c6746b65d526e1fe43a914d1fb380b1f886191edc42f5a79081de47232632  session_caches
--   7d90dc4f820b21b539826c3235bfb51876f247577869b7a9566ec7ecda66b92f  session_models
--   ff254eddad5b0e11fa14be3b1e60549b6f3701052aa3fb46ce6348ea4c70bd18  settings
--   147dedba5c7c0d987e43b6d378c568f009341e2aa3c99f82a37af808c78e1a46  shared_weights
--   73c6d09d4833c46746066d367b3aabb3224b5345e26e089881a236b86f9e9082  simd
--   b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b  simd_forms
--   6022e134a6923905f6609b0e2e8aeebe7e87feee3a0ac94200622366ba5e20a2  simd_memory
--   aa12056a272416aea00614a2e3df0cc56f900094636ca9c0b1a670931238c906  similarity
--   dba2056ddf3507bd269081648ce9b0f24ba8f946327654ed907b2f922d9e3d59  similarity_kernels
--   873c3e2302e3f4aa22bfcd14b432adafca6a7cca0132689181b662a038774a58  stored_models
--   356a0bb77d7bace4d56383f10bcedb716167c09f8b2cfe9ef0e15489bcff0d94  stored_rows
--   329b94e3840b4d70087db8e076e6472287ed71e7ad6197001fdd8a11b68c6fe0  stored_tokens
--   6ec5f7a256286e182c0301a1f6ea589d9f4a7ca5dd2dc3513fff48baeda3ed59  tensor_groups
--   d56c30cb9cbc852998dcf74087d22109264714e29e14cb3ebd2eb97eb6166aa0  threads
--   0eef32071fbcfd3a3a34d7cbd15c744615aa1baae7a2785845bea4f1e3b23b3a  tokenizer
--   34fb0a5c54feb745ec4e2c269e98e3b8fcaf241af1549ff771fcdbf11b8de41b  warm_up
--   c1d5adc8d55cb01a3e06b99a83fd472558ab23ba1f19876d18a30305678f323e  weights
--   56e81753792a8621db85a8d71292822a6939cb7f76e9c90e099d948fb8f6e97a  wire
CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '2bd568390d58773fd91fe6d2eac4436c533a295777c0f34f3b2bc876274c0736'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
