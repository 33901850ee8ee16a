target_sources(atelier PRIVATE
  src/ops/cpu/cpu_ops.cpp
  src/ops/cpu/ops_portable.cpp
)
# Here products and sums may contract: every instruction set rounds in its own way already, and tests hold each to a tolerance.
set_source_files_properties(src/ops/cpu/ops_portable.cpp PROPERTIES COMPILE_OPTIONS "-ffp-contract=fast")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_sources(atelier PRIVATE src/ops/cpu/ops_avx2.cpp src/ops/cpu/ops_avx512.cpp)
  set_source_files_properties(src/ops/cpu/ops_avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-ffp-contract=fast")
  set_source_files_properties(src/ops/cpu/ops_avx512.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx2;-mfma;-mavx512f;-mavx512vl;-mavx512dq;-mavx512bw;-mprefer-vector-width=512;-ffp-contract=fast")
endif()

# The CUDA backend. The tests compile these for the CPU too.
set(ATELIER_CUDA_KERNELS adamw dequant elements epilogue flash_attention fp8 group_norm lora plain_attention row_product rows staging sums)
list(TRANSFORM ATELIER_CUDA_KERNELS REPLACE "(.+)" "src/ops/cuda/\\1.cu")
set(ATELIER_CUDA_BACKEND backend cublaslt_library cublaslt_product cuda_memory matrix_product nf4_widener products workspace)
list(TRANSFORM ATELIER_CUDA_BACKEND REPLACE "(.+)" "src/ops/cuda/\\1.cpp")
if(ATELIER_WITH_CUDA)
  set(card src/ops/cuda/cublaslt_api_check.cpp src/ops/cuda/cuda_ops.cpp)
  target_sources(atelier PRIVATE ${ATELIER_CUDA_KERNELS} ${ATELIER_CUDA_BACKEND} ${card})
  set_source_files_properties(${ATELIER_CUDA_KERNELS} PROPERTIES COMPILE_OPTIONS "--expt-relaxed-constexpr;-Xptxas=-v" OBJECT_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/kernel_figures.sh)
  # What ptxas says of each kernel is read by what stands before the compiler: none spills, and two blocks of attention fit a multiprocessor.
  file(STRINGS src/ops/cuda/index_maps.h flash_warps REGEX "kFlashWarps = [0-9]+")
  string(REGEX REPLACE ".*kFlashWarps = ([0-9]+).*" "\\1" flash_warps "${flash_warps}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/ops/cuda/index_maps.h)
  math(EXPR flash_threads "32 * ${flash_warps}")
  set(figures bash ${CMAKE_SOURCE_DIR}/cmake/kernel_figures.sh --fit flash_attention ${flash_threads} 2)
  if(NOT ATELIER_WERROR)
    list(APPEND figures --warn)
  endif()
  list(APPEND figures -- ${CMAKE_CUDA_COMPILER_LAUNCHER})
  set_target_properties(atelier PROPERTIES CUDA_COMPILER_LAUNCHER "${figures}")
  set_source_files_properties(${ATELIER_CUDA_BACKEND} ${card} PROPERTIES INCLUDE_DIRECTORIES "${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES};${ATELIER_CUBLASLT_INCLUDE}")
  set_source_files_properties(src/ops/cuda/cuda_ops.cpp PROPERTIES COMPILE_DEFINITIONS "ATELIER_CUDA_CARDS=\"${ATELIER_CUDA_CARDS}\"")
else()
  target_sources(atelier PRIVATE src/ops/cuda/no_cuda_ops.cpp)
endif()
