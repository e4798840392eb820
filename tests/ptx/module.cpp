// SPDX-License-Identifier: MIT
// A module: its kernels, functions and variables. Bodies are kept as text; parse_body.cpp reads
// those of kernels when they are launched.
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace ptx {

static void add_kernel(struct ptx_module *module, struct cursor &c) {
    auto kernel = std::make_unique<ptx_kernel>();
    kernel->module = module;
    kernel->name = c.word();
    kernel->params = parse_params(c.in_parentheses(), &kernel->params_bytes);
    while (c.peek() != '{' && !c.is_done()) {
        std::string word = c.word();
        if (word == ".minnctapersm")
            kernel->least_blocks = (unsigned)atoi(c.word().c_str());
        else if (word == ".maxnreg")
            kernel->most_registers = (unsigned)atoi(c.word().c_str());
        bool is_cluster = word == ".reqnctapercluster";
        if (!is_cluster && word != ".maxntid")
            continue;
        unsigned extents[3] = {1, 1, 1}, n = 0;
        do
            extents[n++] = (unsigned)atoi(c.word().c_str());
        while (c.peek() == ',' && c.at++ != NULL && n < 3);
        if (is_cluster)
            memcpy(kernel->cluster, extents, sizeof extents);
        else
            kernel->max_threads = extents[0] * extents[1] * extents[2];
    }
    kernel->body = c.in_braces();
    std::string name = kernel->name;
    module->kernels[name] = std::move(kernel);
}

static void add_function(struct ptx_module *module, struct cursor &c) {
    struct function f;
    if (c.peek() == '(')
        f.results = parse_params(c.in_parentheses(), NULL);
    std::string name = c.word();
    f.params = parse_params(c.in_parentheses(), NULL);
    c.until("{;");
    if (c.peek() == ';') { // its body follows later
        c.at++;
        return;
    }
    f.body = c.in_braces();
    module->functions[name] = f;
}

static void fill(uint8_t *to, const struct declaration &d) {
    size_t step = type_bytes(d.type), i = 0;
    for (const std::string &text : split_at_commas(d.values)) {
        uint64_t value;
        if (!parse_number(trimmed(text), &value))
            throw error("an initializer that cannot be read: " + text);
        if ((i + 1) * step > d.bytes)
            throw error("more initializers than elements: " + d.name);
        memcpy(to + i++ * step, &value, step);
    }
}

static void add_variable(struct ptx_module *module, const std::string &text) {
    bool is_shared = text.find(".shared") != std::string::npos;
    if (!is_shared && text.find(".global") == std::string::npos &&
        text.find(".const") == std::string::npos)
        throw error("a statement that is not known: " + text);
    struct declaration d = parse_declaration(text);
    struct variable v = {is_shared ? SPACE_SHARED : SPACE_GLOBAL, 0, d.bytes, d.align, d.is_extern};
    if (!is_shared) {
        const size_t align = 256;
        module->memory.emplace_back(new uint8_t[d.bytes + align]());
        v.address = round_up((uintptr_t)module->memory.back().get(), align);
        fill((uint8_t *)(uintptr_t)v.address, d);
        ptx_memory_add((void *)(uintptr_t)v.address, d.bytes);
    }
    module->variables[d.name] = v;
}

// .file 1 "name"
static void add_file(struct ptx_module *module, const std::string &line) {
    size_t open = line.find('"'), close = line.rfind('"');
    if (open == std::string::npos || close == open)
        throw error("a file without a name: " + line);
    module->files[atoi(line.c_str() + strlen(".file"))] = line.substr(open + 1, close - open - 1);
}

static void add_statement(struct ptx_module *module, struct cursor &c) {
    if (c.starts_with(".target")) {
        (void)sscanf(c.until("\n").c_str(), ".target sm_%d", &module->sm);
    } else if (c.starts_with(".version") || c.starts_with(".address_size") ||
               c.starts_with(".loc")) {
        c.until("\n");
    } else if (c.starts_with(".file")) {
        add_file(module, c.until("\n"));
    } else if (c.starts_with(".section")) { // of debuggers
        c.until("{");
        c.in_braces();
    } else if (c.starts_with(".visible") || c.starts_with(".weak") || c.starts_with(".common")) {
        c.word();
    } else if (c.starts_with(".entry")) {
        c.word();
        add_kernel(module, c);
    } else if (c.starts_with(".func")) {
        c.word();
        add_function(module, c);
    } else {
        add_variable(module, c.through(';'));
    }
}

} // namespace ptx

struct ptx_module *ptx_module_load(const char *text, size_t bytes, const char **error) {
    static std::string story;
    *error = NULL;
    auto module = std::make_unique<ptx_module>();
    try {
        std::string clean = ptx::without_comments(text, bytes);
        ptx::cursor c(clean);
        while (!c.is_done())
            ptx::add_statement(module.get(), c);
    } catch (const std::exception &e) {
        story = e.what();
        *error = story.c_str();
        return NULL;
    }
    static auto *all = new std::vector<std::unique_ptr<ptx_module>>; // until the very end
    all->push_back(std::move(module));
    return all->back().get();
}

struct ptx_kernel *ptx_kernel_find(struct ptx_module *module, const char *name) {
    auto found = module->kernels.find(name);
    return found == module->kernels.end() ? NULL : found->second.get();
}

const char *ptx_kernel_parse(struct ptx_kernel *kernel) {
    static std::string story;
    try {
        if (!kernel->is_parsed)
            ptx::parse_kernel(kernel);
        return NULL;
    } catch (const std::exception &e) {
        story = kernel->name + ": " + e.what();
        return story.c_str();
    }
}

int ptx_kernel_n_params(const struct ptx_kernel *kernel) {
    return (int)kernel->params.size();
}

size_t ptx_kernel_param_offset(const struct ptx_kernel *kernel, int i) {
    return kernel->params[(size_t)i].offset;
}

size_t ptx_kernel_param_bytes(const struct ptx_kernel *kernel, int i) {
    return kernel->params[(size_t)i].bytes;
}

size_t ptx_kernel_params_bytes(const struct ptx_kernel *kernel) {
    return kernel->params_bytes;
}

int ptx_kernel_sm(const struct ptx_kernel *kernel) {
    return kernel->module->sm;
}

unsigned ptx_kernel_max_threads(const struct ptx_kernel *kernel) {
    return kernel->max_threads;
}
