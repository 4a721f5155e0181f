// product = silu(gate) * up, where a row of x is gate | up. Grid: rows x pieces of a row.
KERNEL silu_multiply(const element* x, element* product, int width)
{
    int column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width)
        return;
    const element* row = x + (long long)blockIdx.x * 2 * width;
    float gate = widen(row[column]);
    product[(long long)blockIdx.x * width + column] = narrow(gate / (1 + expf(-gate)) * widen(row[width + column]));
}

// y += bias on every row. Grid: rows x pieces of a row.
KERNEL add_bias(const float* bias, element* y, int width)
{
    int column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= width)
        return;
    element* target = y + (long long)blockIdx.x * width + column;
    *target = narrow(widen(*target) + bias[column]);
}

// y[row] = x[ids[row]]: the embedding, and the rows whose logits are wanted. Grid: rows x pieces of a row.
KERNEL copy_rows(const element* x, const int* ids, element* y, int width)
{
    int column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column < width)
        y[(long long)blockIdx.x * width + column] = x[(long long)ids[blockIdx.x] * width + column];
}
