// Boost.JSON's functions, for a program that does without its shared library.
#define BOOST_JSON_SOURCE
#include <boost/json/src.hpp>
