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
        ('engine__composed', '76a1454f64dc1849f040e2f955da80a73af7bdacbf554dcd418241fd1b5029cd'),
        ('engine__decoder', '668eb943f5a0ea062ceee052d5878a63d8528930be7ed240f22541399db4c2ec'),
        ('engine__decoder_pass', 'af47bdc40ef8e3b437c51f11de4af3102aa4638c8fc73947b2c6a9657f64b01b'),
        ('engine__encoder', '2873d82708add2906f93c7caffee979b715dd0a3fe759b29fce402c69bdfb16e'),
        ('engine__encoder_pass', '4f368ef5caee5a595f19f6bc095e3713e7267c4b06ec710e1198e24576c4a95c'),
        ('engine__kv_cache', 'eb0174d3f56638a19c1682c2dd3eedffaf81f98ce787ccc0ee5b172147c9179c'),
        ('engine__operator_entries', '5e381e897ceb60dc6cd00d724508f8222c2169b6237e07a655cd802d6d9e9706'),
        ('engine__steps', 'f82a79eff06d81a674e42283c504361113668d8e5de6f1ba6ff340bebad32499'),
        ('engine__warm_up', '56b573c4cb33d70e3463759c900fc27a82e8b4bea4a7d1eb9824fa604989624f'),
        ('generate__candidates', 'c8f8cf3294fcb5851444045308ad76faeb61359188e1904fc2180ae69ceab1f3'),
        ('generate__interfaces', '1b85e7aa56466176e7fd9b5abe58fa389f2dac3f493097747e9f121b47f1d8f8'),
        ('generate__prefix_cache', '6fa668416a384c40fb88cc1542403fc179d99ba451b85c93bc7fc5a6786fa2d3'),
        ('generate__prompt_lookup', 'f341b0a86445325dfe8b80dbd244744b7775bac413898f1745f41b0d5493c9f1'),
        ('generate__sampling', 'c159e7fe042b03d333af23730e99e19c6a7c7889719924c37483f1f188f3792e'),
        ('generate__scheduler', '0fc77ad765d82b633e2fa931a751ba741a9e50f0d0c023bab8df6ab8f01d5034'),
        ('kernels__attention', 'ae7b052073a64eaf6703e42c1611be959032637244fd20f2ab839846f72db699'),
        ('kernels__blocks', 'c3f2c33d3c6b0c07db711d9517250e6a83622ccf3d988e9879f9a3fe321e1e1e'),
        ('kernels__candidates', '1ec67d1cd64f1b4db7c68034af7c0a38506cab974ffb03c1a18d7708dadb931d'),
        ('kernels__cosine', 'a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377'),
        ('kernels__dispatch', '1d284716aba0ccd944d1ab81d1ea10d73d7fcdb2a9ae167b2c5a47d4f3eb8c92'),
        ('kernels__elementwise', '0afddb84c9a3be1b1c249c09aede7300d7fa5eb096a7be7d227ff86353166cfa'),
        ('kernels__floats', '406cce5dabfe3a2a3221bbe7f0c5e0a00ae6343c5ff375308b4f3ba588502e5b'),
        ('kernels__groups', 'b9dffcf9a0435f5e27a3ea43623467fa8a0f6fbac19c711d5c7af9828a73397d'),
        ('kernels__kv_pages', '88d50852b2e8f239aac00f02b1bd6eac8b409d23cb500b4060beeec75c5b722a'),
        ('kernels__layouts__bf16', '72424707ca9b71ec3c4ab62a1068d96fa9c7813efd6f77d14ee192cc783cce29'),
        ('kernels__layouts__f16', 'fdcc383aebd2db5c16be8c0de8fb85acf562b8dc8aedd5a2de0a5b78737f3f6e'),
        ('kernels__layouts__f32', 'f1cfbeb0de6ef5099fd8caccc02691cb527f0799a7c9333ea2773b31921c92cc'),
        ('kernels__layouts__q4', 'dc4d63b184f20d87af3c043eece2ae2731b3fc4d793065f7e698967108300783'),
        ('kernels__layouts__q5', 'b453be6b1e982c1e3892b1ceeb5a3ac96b3c5115de23ea2a6b37817ba22d8275'),
        ('kernels__layouts__q8', '10c608258d805b775e34ed35729fbb5b9111d5ed7f88a9a861608b95afa11c25'),
        ('kernels__matrix', '4edfb730524304e62d77ae2d54354b0b70f2c8b87bc0804d0a8aefffc6baadae'),
        ('kernels__packing', '71c53ea7503834ea259316aec7807bea6dc7458c9e7edc4d250c7dd4e3b270a4'),
        ('kernels__similarity', '243ec033178c17b0e31e03350fa9440779094c9e1baca37ec144e786bbd0fcea'),
        ('model__decoder', '9e548ed22a62c3a7a33d24c6ef7a955f91e9b0cd5e395611c09239f9351eb64f'),
        ('model__encoder', '0d4893bf14b5f897785c6f0fe3f0f13070ab7eb6545561c36245ada98d3c5727'),
        ('model__encodings', '0847ae556886c9110545169f447e86f15b6430100d2063adf67bb6894fa29ab4'),
        ('model__finite', '21c2f66e792048727c48d17fad59776983ae4aa8ba01522bf167735c6c2c966d'),
        ('model__long_texts', '7598f7b5b399070c183634f151829f96de9a8a396abc42a3f9263156a06ef6f3'),
        ('model__rope_rows', 'a7c9c3ae22e4a05cb690e941827fe823d2c4998650ed49d56b2bc0bd263984a9'),
        ('model__tokenizer', '19a4c82daa7a7f4e91f9299801921a363858500a3f99954ade7f13ea3ccfc8e6'),
        ('reference__composed', '26af57c0aa568411b3baadb5a1ec238e59737eff5a8cbbded5c11bade878707a'),
        ('reference__decoder', 'f449e4d83e62d48c251248ee7ccadbf0bb51d200a35fae3fea7308950b65ca50'),
        ('reference__encoder', '49bd2db2589754b69baa37da1b6cc6e30b1c2a4a35e794e0fce07e2c6828089a'),
        ('reference__operators', '55fa782ceb66ef6d209e99f936cd4e0170f517484f04daaac8cba7d370cca9b1'),
        ('server__arguments', '9c7e837c627bbd34a332efdf19c5441c109bac02cea3adf5ab2e3ccca1ec6858'),
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
        ('simd__frames', '7738bc3ef2730578033d2cb000b8f1ac3dccef09ba5247a0095a8506293ed657'),
        ('simd__kernels', '1597de9558b2035975f0af1483c7360cedf31b71bedd48ae83d928878bc364a5'),
        ('simd__memory', 'f5d2003820fa6f00cbcbd09be45f1fb0ffde42e0063f7a76e0c10b99c366db85'),
        ('simd__processors', 'b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b'),
        ('simd__registers', 'b444985301382a9f029419e457a1fcfeaf61d64186b3301649237dba913c504c'),
        ('simd__threads', '325afe60c462a5a0c0e779d94516a5726e9ee6584bcea18d67d16072f612f828'),
        ('sql__batches', '3ea7560dd3a7b7bd9cd819b44db6b479411c5a073c53d1b34124674ce941f1c6'),
        ('sql__boundary', 'c8e746d23224c3cb27f22d19b141c68eb96750bbe2a9a1d54972f56ebb2c5e9c'),
        ('sql__chunking', '6e65381e896ecf01adcf5da45908760e63335957e6903ab27a13353258892ea0'),
        ('sql__diff', '55df8632c090263e51b83f68d5be8cc50cd6e422617a94275591df784a82829d'),
        ('sql__editing', '1479c250f79b83fc82796c35f1091379de1a04f2581f818b6e8f70d5a8423907'),
        ('sql__embeddings', 'a8c12453e5f16bb0374a2b2c9b2641eb960a474043e8b29c0dff6ef21c5970e7'),
        ('sql__generation', '7ba11759645ac1bb88d9a7cfe12531c70c558d2adae76402b6b67bda184584ae'),
        ('sql__ingestion', '02097321f7dc13c0ed0a900d645d01976f428cde5dfc8aacd084992efcfd88df'),
        ('sql__merge', '294d9d889668ed03481da6a8106cd888eafd6b2645d1f80efcb44ddce0fb6759'),
        ('sql__operators', '4386840dadaa5c37e3f78c1ad903f6dc0cfcf2590e1313b6fd51927cbc93f329'),
        ('sql__packed_cache', 'a9bb1119fcfab9ec390cf69a85a38f2ddb74433d7b879fdd6e7baad2d3657e9b'),
        ('sql__samplers', 'e093b49321f3e3ed7dbc383f4aaeeeebabbb70d2eff4d5a07bdcf469d3dd3104'),
        ('sql__scoring', '9f3c9d642cc3a6a61687a72adb8a3b94b638b9e96767d22bcc3abc07723e329a'),
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
        ('weights__packed_model', '0d1fb6d8064c66ca02be4f019df9a824069d0ee39c8bfa88906b69ba7e5e37a6'),
        ('weights__shared', 'bfc392a07adb127940491e8b36ed4e2f86f28429138d8b163182a920bf046f6d'),
        ('weights__tensor_groups', '35a265940e0f4130b034ddd8714f66f775d59b63c4c8bf255717c519b08bc862'),
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
