"""Export motions for viewing and editing programs: GLB, USD, and the table EXPORTS of all export formats."""
