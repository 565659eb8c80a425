-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A hash of hashes, as `sha256sum` prints them, of:
--   524ed70c6c4db3a28ac8f9174717cb25be048139ddab10adedb864bba5a9fa6e  admission
--   4ee0a9fbcc057c05ecaa46c92183f48ee93776b21b0689222ec659b0352b7b0e  architecture
--   8ea1abea39e7e4ec12a0d58a5dc7960d23e548992b28751acfcfd49779e9d022  arguments
--   f749c00edbbeefb73330720446dd5341c82b9cd9fb61e2afc412f206bfe2c367  atom_rows
--   ea210a536bc212fe2cfe9d04836062618ef33c79a5d83cdfe0d4aaf1d6d4781b  atom_runs
--   862d0744c57a6249597716ecd1f2461d2afc9a16bab636ac5dd685552fe60109  atoms
--   54900d4d4d2298419f71faea23ef3333aa65229c04cd443c86bb4bcc103ed351  attention_kernels
--   28a567f8465b8736757c0d4c77b0e7a96f361375a8725e1f2776682d752b138e  background
--   ad106ed307f0d85ab5d1a97662326e2334658fef96c2df91d68474b14f7fe2c6  batches
--   a5b7127c5e746f05baff2c58ba83af07d1ceea9cc0f920fc8f9d389f49beae13  blending
--   116c29b02a24a57161130c7a4043160e88f45fc4d87f9905be047ed2c943cd09  cache
--   2750d552f1764decac52422f1460b08b120e89c5a7fa7da51ec2f693e08056a6  candidate_kernels
--   c29f07214cf8569b97ef50fa52c45265275ae1b903de87331c9e10ef6b7ccdcf  candidates
--   f66944b63f1c834a49f98f9f5af31d336c561a179d3c1d329f159555d8dc92f6  chunking
--   999b7a7d734bf9af55f8cb899867c82c8a43a903734d2c84d0c6393a239c5e93  comparison
--   b7c66a117e52d00315985ff71416ecbfa63804f09ad8bda6192250fb82282aef  compiled_engine
--   c0473b125d78dbe113a9aa5357e361e039ad0b9018f407534a3695a228d6e25d  compiled_forward
--   05e8b1ba15f779f0b83c9bd961c6505daeace4fd58fc216b8e040c50a87fdf77  compiled_operators
--   a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377  cosine_search
--   83b88e9d4cdbfb094fb611d0de35562f61619076a0becb833e3543d32822807d  database
--   bbdbb3a71e5d08ed0829d5885ce9ae2fc4a6c3c2cf9f3d339494ae4624e444d7  editing
--   a424e9ddf0f97527f761e3ce19e61186f451cbc7b532b4788b05adea078356cc  embedding_columns
--   fbbcfdd3f30fe3ddd903d3972dc467421c17a08839a6c9287ea14a5109fb5cac  embeddings
--   251750d1b333728d9c4e8cbeda8ff1af4e45d89e3695eac9b2a30fc37d61a6fa  encoder_architecture
--   8d625e0bb91b2b86a952c4b6a32736784d57fe9449cc702863da81b36c406ffa  encoder_engine
--   1a66ea21751f499ac5d575c89981cc0e4290c4758a556675931863bad8a967a8  encoder_forward
--   11b59fc669937b4fe96106c163ef70f535ef200f9220f18ea6aadcf8c19d55ef  engines
--   7f7a51823d8487d7542d1645e6bbdf91ab15bb44827a403ec5ea58927c6b1155  errors
--   32fab3929ab9b47b177a24b9a8d18e48454cabeabc3830e46a32e618d24fc411  forward_steps
--   453d03c5201025d4ea0c5100bed7331981892bb5e64e3e563dfc1b591e5df345  generation
--   5e82cca1f69a1ce76b670896e4cf17011f75e6d88d61c5bd37eefbf01c8b3be5  geometry
--   d3dc1c828b43d895193c2be382e67bf569397dfedb8e4f34eceec70160c2adaa  guessing
--   0c54c1a124bd8bfd98b3b199200e448001fdc1177856db0179f6d25bb0df76ad  hilbert
--   d092e0489da9ef53b5fb23937a06b75e8b2e5c283790cfdad6d9476016521626  hilbert_plane
--   c8d22605197646d5efbe3457f3adb06b9cc8334f3b412ff9de7db15a9b73c532  ingestion
--   fa2c6afbb837391b4325ec2ba9930a2b9437827b877bcf855a91b93163676dad  kept
--   085404df8610d81a30d3cbde228c0c580fd2dcfff7a89c2a4a631db829dd9561  kernels
--   aee041e1122cfd1766e39d3291f2ba656b5c9fd2157aa99f807851338cfa057d  kv_cache
--   8a5cf384452e916fc87ce5d80810292c4a9d31fa4358d4c4554c092823bdef7b  kv_pages
--   61f828a8fc64da5bed6fd12c8f49740ae9b30ca5d03ea0bdc88931950ffcdd18  loaded_model
--   55c82b983fd0194715b51a0503cf09e433b9580e2ac769aadbbf192536c69beb  mapping
--   cfe7b90c4a6e14e9863c7b04365ea3756115aae378c88a72d2c4a6c48e3d0e3a  matrices
--   ce840604ca225ddb0921f90d38c4e692c5d3c515a84d7b6bea82758016efb7f1  matrix_kernels
--   0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370  merging
--   cbf66580ccab3a725ee6d50ef5fdbade286b70a6f2297e3e4d62c823b56818fd  moment
--   8f467bbe18fbb52086c922889164f65272444b83c7affbc69fe37fe1abead7f2  numpy_encoder
--   36fb5ba55e71910f3c92ed832a8491732989de4323e04f1d1324cc520d2db9f1  numpy_engine
--   7037713b2654117b7b0a6a4b9303e9b2f0a9e4313a073380477f1662696a130d  numpy_operators
--   235ed0c5d569c50555c75265588f6bf1ed1885d0623f36b40eac590ff768b835  operator_kernels
--   f807c6bc7ee008222b7f8b1f6e8458d71c622a5a5bd6feeb1dd916f2afb5ec4a  operators
--   6ad97f0daddfbf52d25eb6c8d380d2d924e8872f301d2363c4be2cb76630fb23  ops
--   3a85081438bf645cd31e1f78f655bb2f825ad1018bbf8288581fc4be5640aef2  packed_files
--   1ad7476f227cbdb8e3c975eaa0b9e1aaff1e5d0489d94006ba7cc01f8b5d67c4  packed_model
--   b8812d9da71a730eeab02edcb234a5c22418f462e0877c2101b28b978b6d9605  packing
--   9b86547881091163d52b6f53a203ee202550f143a7781e24f4a5363544858be9  positions
--   08692f6356ae79be4d0253e55471ebe864894b27a55c77aa354d352093bb3fbe  prefix_cache
--   7f314f629c024053477db2b75dde7f26e344c0a0de0658c7d37805de2049889a  projection
--   4a5af3a7a4395b9f78c54790269fedb05bfa8a810e3d907f941a3809a1acf5d0  quant
--   6dc3f9b282b50eb50e6a8744eee79531601cc5404dddade2f14657298f86137a  rewriting
--   2edc4e305a5df64df63433899266b7a22a3aac8506de8128367d0c868c293348  rope_rows
--   a7bb1ea54215c65ff72dee157db107fed8f0f8638cbd4c432ff4f84b357c5a49  sampling
--   a1d1ba2e5657373ed5a50e4c3c95f1ea5f77a695bed7817a1c69cc48a65e1d03  scheduling
--   8d3ce973c6e25e2c83e3f0acc5d360ba41fc18d52cdfe758c3f23eaa445bfa5e  scoring
--   0861677b8439cd42160e0405f3fa5c3395b6a17b9f239d99e5c12b1a9e7d8a00  searching
--   c99c6746b65d526e1fe43a914d1fb380b1f886191edc42f5a79081de47232632  session_caches
--   7d90dc4f820b21b539826c3235bfb51876f247577869b7a9566ec7ecda66b92f  session_models
--   ff254eddad5b0e11fa14be3b1e60549b6f3701052aa3fb46ce6348ea4c70bd18  settings
--   147dedba5c7c0d987e43b6d378c568f009341e2aa3c99f82a37af808c78e1a46  shared_weights
--   1b18fe3f5367fbbeb56727ef189ed8acf9e0d8747aea626ed314d9e84a27cef4  simd
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
RETURN '26120d375cfddc075b6341ac6e5e31979fead445f85459c7445a3623110a31fd'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
