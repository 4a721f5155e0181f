// The modules of one site: where each one's shrunk input, core and core output are.
struct core_places
{
    int shrink_column[3], rv[3], core_column[3], ru[3], core_offset[3];
};

// mixed[row] = shrunk[row] · Σᵀ of the row's own adapter slot, for every module of a site. A row without a slot (of
// another cluster, or padded) gets zeros. Cores have numbers of 4 bytes, float32, or of 2, bfloat16. Grid: rows x modules. The threads are split into teams that share the sum.
KERNEL mix_cores(
    const float* shrunk, int shrink_pitch, const void* cores, int core_bytes, int core_pitch, const int* slots,
    element* mixed, int mixed_pitch, core_places places)
{
    SHARED(float, partial, MAX_THREADS);
    int module = blockIdx.y, slot = slots[blockIdx.x];
    int rv = places.rv[module], ru = places.ru[module];
    element* target = mixed + (long long)blockIdx.x * mixed_pitch + places.core_column[module];
    if (slot < 0)
    {
        for (int u = threadIdx.x; u < ru; u += blockDim.x)
            target[u] = narrow(0);
        return;
    }

    const float* input = shrunk + (long long)blockIdx.x * shrink_pitch + places.shrink_column[module];
    long long first_number = (long long)slot * core_pitch + places.core_offset[module];
    const float* wide = (const float*)cores + first_number;
    const unsigned short* narrow_core = (const unsigned short*)cores + first_number;
    int columns = ru < (int)blockDim.x ? ru : blockDim.x, teams = blockDim.x / columns;
    int team = threadIdx.x / columns, column = threadIdx.x % columns;
    for (int first = 0; first < ru; first += columns)
    {
        int u = first + column;
        float sum = 0;
        if (team < teams && u < ru)
        {
            for (int v = team; v < rv; v += teams)
                sum += input[v] * (core_bytes == 4 ? wide[v * ru + u] : widen_bf16(narrow_core[v * ru + u]));
        }

        partial[threadIdx.x] = sum;
        __syncthreads();
        if (team == 0 && u < ru)
        {
            for (int other = 1; other < teams; other++)
                sum += partial[other * columns + column];
            target[u] = narrow(sum);
        }

        __syncthreads();
    }
}
