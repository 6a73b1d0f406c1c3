# A room is a folder with one target. cox_room(<target> DEPS <rooms and libraries>) takes every
# .cpp file of the folder but those named *_main.cpp, which are programs of their own.
function(cox_room target)
  cmake_parse_arguments(room "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_main\\.cpp$")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PUBLIC cox_flags ${room_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE cox_flags ${room_DEPS})
  endif()
endfunction()

# cox_unit_tests(<name> DEPS ...): one GoogleTest program of all *_test.cpp files of the folder,
# registered with CTest as a single test (its own output names the failing case).
function(cox_unit_tests name)
  cmake_parse_arguments(tests "" "" "DEPS;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE cox_flags ${tests_DEPS} GTest::gmock GTest::gtest_main)
  # Their speed does not matter, their compile time does.
  target_compile_options(${name} PRIVATE -O1)
  target_compile_definitions(${name} PRIVATE COX_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             COX_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "unit")
endfunction()
