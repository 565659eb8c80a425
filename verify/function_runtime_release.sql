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
        ('atoms__atom_rows', '56fda290b585dcd21a4dda3bbb6c00146c5ee74e7e41fc2febae7b36aba3f80f'),
        ('atoms__atom_runs', '47e59b0ddfbe9153c9208db276277b738fdc09e686b52381372ef67e6e4635bf'),
        ('atoms__atoms', '398d4ff30b4679603e247db109529bd05687f6390bbecc866bf7367265181773'),
        ('atoms__geometry', '3fa7d4a040c883fb70ec29f73bae24ae313316a15eed79c34a9d9d6d19fd6df2'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'd092e0489da9ef53b5fb23937a06b75e8b2e5c283790cfdad6d9476016521626'),
        ('atoms__projection', '7f314f629c024053477db2b75dde7f26e344c0a0de0658c7d37805de2049889a'),
        ('atoms__sql_literals', '56e81753792a8621db85a8d71292822a6939cb7f76e9c90e099d948fb8f6e97a'),
        ('atoms__token_map', 'e4c6a21bd06e2fc6bb2086632fda61e4edab25ced0eeb6499f1c6ea920523abf'),
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
        ('model__decoder', '6f66c06c4085bd35b83b0eef4fb91410a64796e4c6e98f5511eaf624fafeeb16'),
        ('model__encoder', 'f8ab5a57984a51202de23b3ff45564696c31320e00da16521091cfe0e5d6a739'),
        ('model__encodings', 'c005d7476d509c586562c67af0902ce9992b8ea8606dcb1f99eaed8f8abf8d58'),
        ('model__finite', '4e5444ddb806e939c6e9816a9afd93c01bcfc04751474118be92469cc84648fa'),
        ('model__long_texts', 'cc301a58be527b51a3971ff764e0eeac42d6e269790f3ec8bcc385ed67e01125'),
        ('model__rope_rows', '2edc4e305a5df64df63433899266b7a22a3aac8506de8128367d0c868c293348'),
        ('model__tokenizer', 'e2364ef16c94c8ddad10e21bcc6c9ef147d182ea021a4ac017830650aa01abe4'),
        ('reference__composed', '49eb3e42e0da8b7517596cf2019af16868d165601f3f1ecede2dbde6b656c016'),
        ('reference__decoder', '1e1767fa66c6eb3fa27f651588bce3786fa14b1713844d5864ddbb45e921789d'),
        ('reference__encoder', '6d8bdc1392ce36005abb17345368f72f56c58bd8fe543637c65eb7236032295b'),
        ('reference__operators', '13552bc8053a7c7e8cd614be1f2c298dadc2e725bcafa74cd43399d377eaab22'),
        ('server__arguments', '051a2f31014cd3695e47009b2f4312bd937b3e373ce2818c4ec3609cc479d34b'),
        ('server__background', 'e93b7c79346d3b6adb781f5647985c9ada08386dcbe353e4e9b1cafdb7b182fe'),
        ('server__ceilings', '46c3cbf6792063fc35afa89b10f1c7f61a2b60eef9089027923c0faef418c221'),
        ('server__connection', '1fb27a1b25ce082e8faed179ea013a2ad8f1e3cfd24d6ee146d606af53d24d9d'),
        ('server__database', 'e43d87405f82db0bf2d51aa678c104c044fa6223e2628f4a33082bd913056309'),
        ('server__errors', '72c6033176f21814481d2289095327cf265fa61ce0acaca627001aaa082048e9'),
        ('server__interrupts', '3450860b980b6f63c364290784a1724b4c4f7921e016a7e508084e89a632eedf'),
        ('server__messages', '4a5ca7cf5461e02d5c9118c4747531540cc38298f87f3c9e61bdc18f719e26b6'),
        ('server__module_files', 'c02df2b96f01f1e4d133d467eecdd30bdb4090fd7e49082c01070394b051ffe5'),
        ('server__server_variables', 'c2559e7464841ef3fcd74a32eee22147c712e547986ee7638dd3348d45dce474'),
        ('server__settings', '35616ec6861ac939684e6b247171adcaf968f2e1ccc3322bff0b239ee945a3fc'),
        ('server__spi', 'ce4a9e0ca0328cbb3f1ba9497e20b7c9bbb49e2b8ffae47ede833a2626afbe2f'),
        ('server__sql_errors', '9d1ceab9adf72d3613ecd63fd66daaab7b860848c2bf95330cdea171b47a7a40'),
        ('server__statement_clock', 'd8a6a78fbdeaacf562d5eb3619cbd1a286eeb188f0c58230a3d94d1e405a2ecf'),
        ('server__streams', '5736083f523373616f0c6db8e51537df75ce399788199067d41e95a81e3d8383'),
        ('session__admission', '67d8dc535e1643bc0a8b37936bd2d41f302f7a0858f19e98a941a0351c07bd2f'),
        ('session__engines', 'b7447b865c77dfd5c9ba35724090fe3c227c04d03673b008f845e2f7e7f4463a'),
        ('session__kv_handles', 'aa6c2fd8e0b216cd0afe7833796a562d1a2f64b88ed6bab438e08f27fc839289'),
        ('session__model', '5094e9042188cb97cce14037487c40cdd8ba711ca16108eb873122c353280b47'),
        ('session__models', '13d53c0a476366b5729012b353532062759e85123a9c34baf37bf140e641a8b3'),
        ('session__prefixes', '0bf566707a9a135464f48bde924b07551e2413bd148c2fce28c90848dfa43d82'),
        ('session__search_matrices', 'd4f1ceb41035f220ec0a7cb96fbaf5031c8d85c17fb67cd0d9d33f52c039d556'),
        ('simd__memory', '809b329aaf7df80144c10774532ebbefa43df0bd2aa5893fee26d2a75a0cfea9'),
        ('simd__processors', 'b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b'),
        ('simd__registers', 'a1fe37e17443172e13dc21b93e0a740ad74fc9e05051fdb8825a7a9eca6fa796'),
        ('simd__threads', '325afe60c462a5a0c0e779d94516a5726e9ee6584bcea18d67d16072f612f828'),
        ('sql__batches', '77356cec1c32a504837bf57c5df6644c0d4e17c0d7c93d9612824e6dada2a684'),
        ('sql__boundary', '6b789971a5d23cdf952ac87467b4a7c8ab39add4c42d79bd698779ca6607046d'),
        ('sql__chunking', 'd69f4d0a4af792adf03f759b81dbaeb4976a293d4357ebe06c32f464477b69e4'),
        ('sql__diff', 'af7b0b1a58643d80ec28dc5a718ed4d55f94c151d4b07069a2a7ad582dba352a'),
        ('sql__editing', '8f9a2724e27d88786cb8afcc83c2da7cf57e6335e172b9d916142019487b2d76'),
        ('sql__embeddings', 'ab56aa5acd00a464637ac89e09eaa8ae37c7db266632bf8d7aedf0cde09cdfa1'),
        ('sql__generation', 'c62b1950c635096e351fc7fbb916e3810a466ecf718aeebced2d83e6800830ee'),
        ('sql__ingestion', 'c4cf39c08e8631fe4a165b2d48dbddec7af654540c148479d114db3aa661dfce'),
        ('sql__merge', '033e86a26654d7f9e9cf360c97df1132578909391344d14b641148949f271c57'),
        ('sql__operators', '5f767cb8d9e6baebff3bfaa979f3418752b058040aeb27b96573a12ecadcf6ca'),
        ('sql__packed_cache', '28cb4ad0c38c1abf74a6a5873804c6121cdb72688499573b4585fd943486b674'),
        ('sql__scoring', 'ff44aa3634283708c4eda364136f2cefb975f1f6a7145670ed5f1fbc979875bb'),
        ('sql__search', 'aef1487b311a1dfb8df4f1fa3cddcf9c665c7264cfe8724ef958d87993639c9d'),
        ('sql__session', '505b6587f125e10dc2c3cc6791fa1f93ba72dd11289ef14a9d40666171df8ecc'),
        ('sql__similarity', 'bd33a797385ad1366ddf292eb9149e4cbeeafad5d059e4321492ae85412909e7'),
        ('sql__token_map', '92ddaf8b2fb475de9616c48308c0362084b9f9d4a6768dde34771639a939f8d0'),
        ('sql__weight_rows', '5a7cffa042da1a447cf52ce05b545a12ec69422f5b4346098960b4a1f82a0287'),
        ('store__embedding_columns', 'bc3d548bd2f5d58d0dc8a01fa5e92ae4184aed18c27c890cbfd620bbeb8b1f10'),
        ('store__manifest', '487b4e1f01e2a06b08947a01e1f834c7ac058f36e6474da1123270be691dd78d'),
        ('store__merge_methods', '0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370'),
        ('store__models', 'a68eca9d7f8694684a79112abd62d93f956beeca0bce2cdb2089806e9e92362d'),
        ('store__tensor_writer', 'e4892cdfbe3e53b7e879f8ff4308efa22430f2ddb88b5ef8a17899b6f9449c58'),
        ('store__tokens', '010c24cb2ff7583c4703df3b0883fc79bbd15700da5424399a0108911c1e2087'),
        ('weights__address_space', '677f91a942e644353e5258b88d08c6d4d89223fa36d67826528240d3eaa5a656'),
        ('weights__packed_files', '01ee662f62ad66c94072675a6665acd3fcb837ee8d4bbab7525bafe17a423707'),
        ('weights__packed_model', 'b677a850ba9b7670cd53f39ea359e9890ccf7927aaa8fd4fd8985d0ef3d1055a'),
        ('weights__shared', 'fdf197fe39ddf0ca35625777fc067c771d411eddbccadbb1a87b2955ea0c750f'),
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
