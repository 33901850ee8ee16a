# What makes the compiler a check: ATELIER_WERROR and ATELIER_SANITIZE. Included after languages are enabled, before any target.

# ON by itself for the compilers that every change is built with, Debian 12's g++ and nvcc 13.0. Others warn about other things, which must not keep
# anybody from building.
set(known OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
  set(known ON)
endif()
if(ATELIER_WITH_CUDA AND NOT CMAKE_CUDA_COMPILER_VERSION MATCHES "^13\\.0")
  set(known OFF)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>") # sees overlaps in std::string that are not there: GCC bug 105651, mended in 13
endif()
if(CMAKE_UNITY_BUILD)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>") # takes a source's own types for a header's, where sources are compiled together
endif()
option(ATELIER_WERROR "warnings are errors" ${known})
if(ATELIER_WERROR)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Werror>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Werror;-Xptxas=-Werror>") # what ptxas counts, kernel_figures.sh judges
endif()

# Address and undefined-behaviour sanitizers in everything that is built, each finding an error that ends the program: the preset `sanitize`.
option(ATELIER_SANITIZE "build with the address and undefined-behaviour sanitizers" OFF)
if(ATELIER_SANITIZE)
  set(sanitizers -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # GCC's checks of initialisation do not see through what the sanitizers put between: they find the standard library's own objects uninitialised.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${sanitizers};-Wno-maybe-uninitialized>")
  add_link_options(${sanitizers})
endif()
