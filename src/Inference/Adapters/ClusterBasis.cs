namespace Eigengate.Inference.Adapters;

/// <summary>What a cluster's adapters share about one module: y += U Σ_i Vᵀ x.</summary>
/// <param name="U">[DOut, RU], row-major.</param>
/// <param name="V">[DIn, RV], row-major.</param>
/// <param name="DOut">Output width of the module.</param>
/// <param name="DIn">Input width of the module.</param>
/// <param name="RU">Columns of U.</param>
/// <param name="RV">Columns of V.</param>
public sealed record ClusterBasis(float[] U, float[] V, int DOut, int DIn, int RU, int RV)
{
    /// <summary>[rows, columns] to [columns, rows]; a wrong length is passed on for the basis check to name.</summary>
    internal static float[] Transpose(float[] values, int rows, int columns)
    {
        if (values.Length != rows * columns)
            return values;
        float[] transposed = new float[values.Length];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                transposed[(c * rows) + r] = values[(r * columns) + c];
        }

        return transposed;
    }
}
