# Included by CMake at the head of ik_llama.cpp's source package when it is built for the benchmarks. The package comes
# without files that llama-quantize and the library `common` are made of: the other libraries are made, and suffice.
cmake_language(DEFER CALL set_target_properties build_info common llama-quantize PROPERTIES EXCLUDE_FROM_ALL ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN") # libllama.so finds libggml.so beside it

function(install)
  if(NOT "llama-quantize" IN_LIST ARGV)
    _install(${ARGV})
  endif()
endfunction()
