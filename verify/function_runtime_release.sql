-- Verify hartonomous:function_runtime_release on pg

BEGIN;

-- The one place that has the digest of each module: a module that differs is named.
DO $verify$
DECLARE
    digests text;
    wrong text;
BEGIN
    WITH
    expected (module, digest) AS (
        VALUES
        ('atoms__atom_rows', '98549edb5e2dce794ad21ae31f60f19c340cf1577699788df7e859fba9e7bcd4'),
        ('atoms__atom_runs', '65c15bf403b194e6800826600c704e7073d34d33754b2066032d28d37b1febb6'),
        ('atoms__atoms', '3370a2fd7f0ec5c19ea3a056e54011f33ed913a635c8b319ac20b6f1e7471e1c'),
        ('atoms__geometry', '90f353fbe778013a4fc053feaf10d96edff3fc888673b46bfad6ebb11952aabf'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'f5baba74a3896208e0a4857fb92261e63b92fa1c32a439be7dbaca119cafeb31'),
        ('atoms__projection', '17b804a0234736ebfeb962d8ed543df2b9b31ed1fc80619a6005d0481838b03c'),
        ('atoms__sql_literals', '7d23ba797b1a1a32793d2a7a2d03c36efe16887fc4cb3984439315c6ef2e1e59'),
        ('atoms__token_map', '3bee7a6a44146f57273e23f0ca60bd97584d47be736934e7cf533bdaa18c816f'),
        ('engine__composed', 'f9ffe5760bff7b9f8ca6c222998d0c128a7d761a41fbf976426464360ea3d562'),
        ('engine__decoder', '2ed7b1fa78949c34f40ba24e4c11b7ff17fd2f561b88a2f020d554a49a820b4b'),
        ('engine__decoder_pass', 'fe4c9cf7b1f2557a42d425d01f3a0e64f74fc7ead6c712d9abd54e0d254ee78f'),
        ('engine__encoder', 'de987c483aa4b1c1e2d273c7dfc1c43036fdc37fa1417529b43ad4742650bafb'),
        ('engine__encoder_pass', 'b541885617a6ee6417a858ce04c1879dbfbb2302a4220517a6d21a77ea72334d'),
        ('engine__kv_cache', 'eb0174d3f56638a19c1682c2dd3eedffaf81f98ce787ccc0ee5b172147c9179c'),
        ('engine__operator_entries', '36ca041dee3c43854c7aa451ea27182c045e596e80c63c24d81bff15f2ea0613'),
        ('engine__steps', 'a8a06d05c1a55ae6a69c47f9a1ceec119b6c9396b9aa7c7b2af1b7312681c11a'),
        ('engine__warm_up', 'da3c7d2bab2b6d846b7e654c77cfa933912427f389df001bb31e79787cbbfa43'),
        ('generate__candidates', '9e13763f64b18c36451591831a3c2fc13e717e66ebaba8768cde4c12d75ab2c5'),
        ('generate__interfaces', 'd1822384890aa8c6a164df339201311dec2b3136c277a9297eb9810e9e1300d7'),
        ('generate__prefix_cache', '08692f6356ae79be4d0253e55471ebe864894b27a55c77aa354d352093bb3fbe'),
        ('generate__prompt_lookup', 'd3dc1c828b43d895193c2be382e67bf569397dfedb8e4f34eceec70160c2adaa'),
        ('generate__sampling', 'b1c3cf7ffe00df137587939c94592af60d9773193537e4cd8ed50798f3ffb99d'),
        ('generate__scheduler', '1cb1e7aa3329dcd5e704bd589853acc0b5537e6926438edcf91ee35e73e58357'),
        ('kernels__attention', '7c74ac91da4afa473e4dfc05301c870dcbff11e2bcc46cf000b6c750616d1b60'),
        ('kernels__candidates', '1ec67d1cd64f1b4db7c68034af7c0a38506cab974ffb03c1a18d7708dadb931d'),
        ('kernels__cosine', 'a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377'),
        ('kernels__elementwise', '0d7b5045a3b6052fb9a978697f94782e256b4f53741685478d408133667b19da'),
        ('kernels__kv_pages', '7032172b2254b21d0f08c025602a4b8ed846ae7b3608b44130b2a308da3a580b'),
        ('kernels__matrix', 'cf78051f8ae19ef282ca13f55ffc6926ae0cf9cffd0fdb1728e7f3a02cf64cc1'),
        ('kernels__packing', '47e15f52635e80494ad2d3f2b3997cc1448a7709378ef12aa471879037b84e62'),
        ('kernels__similarity', '78308476956a961b65e15b9bf2821c8f72bb91371e6685bd6b3fbfced68517df'),
        ('model__decoder', 'c15adeb7d970a50878f89a2fd6393518b4c694a4c109aa83d0ac7e728c674c2d'),
        ('model__encoder', '3f5062455e159ab28f65018ee32a83f6508c68a02d6cf3dac1a05a36f78a3ce3'),
        ('model__encodings', '53421d8d5c5f51f8df170654ac8214d4e3318c3b054094b0e0e194b1730207cd'),
        ('model__finite', '21c2f66e792048727c48d17fad59776983ae4aa8ba01522bf167735c6c2c966d'),
        ('model__long_texts', '7598f7b5b399070c183634f151829f96de9a8a396abc42a3f9263156a06ef6f3'),
        ('model__rope_rows', 'a7c9c3ae22e4a05cb690e941827fe823d2c4998650ed49d56b2bc0bd263984a9'),
        ('model__tokenizer', '19a4c82daa7a7f4e91f9299801921a363858500a3f99954ade7f13ea3ccfc8e6'),
        ('reference__composed', '26af57c0aa568411b3baadb5a1ec238e59737eff5a8cbbded5c11bade878707a'),
        ('reference__decoder', 'f449e4d83e62d48c251248ee7ccadbf0bb51d200a35fae3fea7308950b65ca50'),
        ('reference__encoder', '49bd2db2589754b69baa37da1b6cc6e30b1c2a4a35e794e0fce07e2c6828089a'),
        ('reference__operators', '55fa782ceb66ef6d209e99f936cd4e0170f517484f04daaac8cba7d370cca9b1'),
        ('server__arguments', 'd09bb5211ef1f53cf83c963f0de2bf1f21fa7133f2a0fe6a723a06c308e1a96d'),
        ('server__background', '25d28e4377879945de36b50ba6513ade652629dbb2a96830728f56942225598b'),
        ('server__ceilings', 'eea229e8f34b0eeea76697a0c7b4b0a995f2ab1aafe25c7ea2dd7b0046b91580'),
        ('server__connection', '1fb27a1b25ce082e8faed179ea013a2ad8f1e3cfd24d6ee146d606af53d24d9d'),
        ('server__database', 'e43d87405f82db0bf2d51aa678c104c044fa6223e2628f4a33082bd913056309'),
        ('server__errors', '72c6033176f21814481d2289095327cf265fa61ce0acaca627001aaa082048e9'),
        ('server__interrupts', '3450860b980b6f63c364290784a1724b4c4f7921e016a7e508084e89a632eedf'),
        ('server__messages', '4a5ca7cf5461e02d5c9118c4747531540cc38298f87f3c9e61bdc18f719e26b6'),
        ('server__module_files', 'c02df2b96f01f1e4d133d467eecdd30bdb4090fd7e49082c01070394b051ffe5'),
        ('server__server_variables', 'c2559e7464841ef3fcd74a32eee22147c712e547986ee7638dd3348d45dce474'),
        ('server__settings', '979eba72b164d6d5916d709424b819b95a10c602ffc9a6f9b5a09a451692cfc8'),
        ('server__spi', 'ce4a9e0ca0328cbb3f1ba9497e20b7c9bbb49e2b8ffae47ede833a2626afbe2f'),
        ('server__sql_errors', '98d0fe06d6621c8ea4e9d565cde46e1c094bd7e63627149cf55a6fac9b3f530d'),
        ('server__statement_clock', 'a3a6676a32548544f4d01ff49197c81a138746ffcf9c2e25fb22191f296f6e77'),
        ('server__streams', '5736083f523373616f0c6db8e51537df75ce399788199067d41e95a81e3d8383'),
        ('session__admission', '53fb5abdade08d0c37dba93e6282291444544e4a9483d19e22be7419057a163f'),
        ('session__engines', '92ad7006f3e4440acc162d92b262c6f40dbb1b2c25386fa4f182d7844f809274'),
        ('session__kv_handles', '590fe87d57a6fcffa48dcf6b696b5f9c3fb6a718b385ab73cf091dbb29537856'),
        ('session__model', '94effcbee00671c4c1e18c5c6d9b5971631868359f9fddf5b5eefbd79e4515c8'),
        ('session__models', '2f83a685b38945629b9dab73245b4ef6ce90a31eecaa4542357f3057d0fc4863'),
        ('session__prefixes', 'e43f46bbf57393fb043b2474d040fb86bc8804a626e3cbec1b741ca4a82e9229'),
        ('session__search_matrices', 'd3c6d1bc71a1834bed0ab0a60748941d35e2bb6a03e40dc4544995f7ec9a72ce'),
        ('simd__memory', '809b329aaf7df80144c10774532ebbefa43df0bd2aa5893fee26d2a75a0cfea9'),
        ('simd__processors', 'b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b'),
        ('simd__registers', 'a1fe37e17443172e13dc21b93e0a740ad74fc9e05051fdb8825a7a9eca6fa796'),
        ('simd__threads', '325afe60c462a5a0c0e779d94516a5726e9ee6584bcea18d67d16072f612f828'),
        ('sql__batches', '77356cec1c32a504837bf57c5df6644c0d4e17c0d7c93d9612824e6dada2a684'),
        ('sql__boundary', 'c8e746d23224c3cb27f22d19b141c68eb96750bbe2a9a1d54972f56ebb2c5e9c'),
        ('sql__chunking', '6e65381e896ecf01adcf5da45908760e63335957e6903ab27a13353258892ea0'),
        ('sql__diff', '55df8632c090263e51b83f68d5be8cc50cd6e422617a94275591df784a82829d'),
        ('sql__editing', '1479c250f79b83fc82796c35f1091379de1a04f2581f818b6e8f70d5a8423907'),
        ('sql__embeddings', 'd1fe88004b31f3ea80a80ec79e9f73d1baea247101b0ba61c4962c61843c6b42'),
        ('sql__generation', 'c62b1950c635096e351fc7fbb916e3810a466ecf718aeebced2d83e6800830ee'),
        ('sql__ingestion', '02097321f7dc13c0ed0a900d645d01976f428cde5dfc8aacd084992efcfd88df'),
        ('sql__merge', '294d9d889668ed03481da6a8106cd888eafd6b2645d1f80efcb44ddce0fb6759'),
        ('sql__operators', '74a98c7cfd8863f635dee878cc91ebc83f317258d25ab49e378b7e38a96dda40'),
        ('sql__packed_cache', 'a9bb1119fcfab9ec390cf69a85a38f2ddb74433d7b879fdd6e7baad2d3657e9b'),
        ('sql__scoring', '971378c1f56aef03e142e4016c7940fc5cc6a20d3815be5e6e6f7cfc01a4a104'),
        ('sql__search', 'edd1a617f2240f5d515aa15620059cf7800e53289cbc6202328278464de12fd7'),
        ('sql__session', '1c7b75fd6bf046ac63e55ce893f1ea477159cac5d000d808947387bc77ecaa4c'),
        ('sql__similarity', 'dfe319f540763e92fd9e1a3d0978ea1355bb6cd5291856a4cfc413876ed5ca49'),
        ('sql__token_map', '59a8c7d804c447027eaa8b69900c7a44607296dd555d56080c40f54a0d69adf4'),
        ('sql__weight_rows', 'c9e47566c603967d8dd6a25843fba9157e531fa7a083bbdf058c910bdaf27d56'),
        ('store__embedding_columns', '82ef6b1105ac7148df41caadf2f6102c35c050f2b1f20c7b109c3004356d33fe'),
        ('store__manifest', 'e46b77426491a55e7691191a41d9e42c91ecde3a5d004be0e68c4e1acd9d4782'),
        ('store__merge_methods', '0849ff29cd9c71b32263b47d30584fc8fd0177a8e348fdbbc20e6e8382d86055'),
        ('store__models', 'fc25479abb22c900d23cf5f2b7826c0e50a5af593f8c49843d87261bda38446a'),
        ('store__tensor_writer', '228e9ae33c67e430ac84c747ab00b723f15225e454a3d0591aca2a12c5aa1ff3'),
        ('store__tokens', '69412cb611827ee3a25f87005fdd8cdb129bdbd047b1a0d0694a24df7285bb91'),
        ('weights__address_space', '894562d9532de6da1b7711f8a96d3f2f8cf818e2cd442b48e6fabfe97b86d9c7'),
        ('weights__packed_files', 'da5d53f2fb65262d0e14245e655ed71e4246cc358030c2ca1411424927a3a90b'),
        ('weights__packed_model', 'b677a850ba9b7670cd53f39ea359e9890ccf7927aaa8fd4fd8985d0ef3d1055a'),
        ('weights__shared', 'f6500b5c19d791a49b824a609149186956185a8392f1049c263b6193a5a0ea67'),
        ('weights__tensor_groups', '9427de559b067ed75326b2e03f88c17a150703060e741211a56f4250eef9c1df'),
        ('weights__tensors', 'dc25c8b4a1311e20d27a6c025ed55b553e5b5f5197d2f04210d977bb850e6e4c')
    ),

    deployed AS (
        SELECT p.proname::text AS module, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS digest
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_runtime'::regnamespace
            AND l.lanname = 'plpython3u' AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    )

    SELECT
        string_agg(deployed.digest || '  ' || module || E'\n', '' ORDER BY module COLLATE "C"),
        string_agg(module, ', ' ORDER BY module) FILTER (WHERE deployed.digest IS DISTINCT FROM expected.digest)
    INTO digests, wrong
    FROM expected FULL JOIN deployed USING (module);
    ASSERT wrong IS NULL, 'modules differ from this release: ' || wrong;
    ASSERT llm_runtime.release() = encode(sha256(convert_to(digests, 'UTF8')), 'hex'), 'another release is deployed';
    ASSERT has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may not call it';
END
$verify$;

ROLLBACK;
